// Host memory for tensors that is kept for the next tensor of its size instead of going back to the
// system: a training step allocates the same sizes again and again, and fresh pages cost more than
// most operators that fill them.
#pragma once

namespace crossblock {

// Makes libtorch take CPU tensor memory from here. Safe to call from every environment.
void installHostAllocator();

// Bytes that are kept but not in use.
double cachedHostBytes();

// Gives all kept memory back to the system.
void releaseCachedHostMemory();

}  // namespace crossblock
