// Host memory for tensors that is kept for the next tensor of its size instead of going back to the
// system: a training step allocates the same sizes again and again, and fresh pages cost more than
// most operators that fill them.
#pragma once

#include <cstddef>

namespace crossblock {

// Makes libtorch take CPU tensor memory from here. Safe to call from every environment.
void installHostAllocator();

// Bytes that are kept but not in use.
double cachedHostBytes();

// Most bytes that blocks of 64 KB and more may take, those that are kept included; 0 for no limit. Beyond it allocations fail.
void limitHostMemory(size_t bytes);

// Gives all kept memory back to the system.
void releaseCachedHostMemory();

}  // namespace crossblock
