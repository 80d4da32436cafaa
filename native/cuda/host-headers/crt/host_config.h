// CUDA's header of this name checks the compiler's version for nvcc; a host compiler needs nothing of it.
#pragma once
