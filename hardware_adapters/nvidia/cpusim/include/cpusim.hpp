// What a rewritten .cu is compiled against: CUDA's language and the part of its library that the emulator knows.
#pragma once
#include <cfloat>
#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <math.h>
#include <stdint.h>
#include <type_traits>

#include "cpusim/types.hpp"

#include "cpusim/launch.hpp"
#include "cpusim/mathematics.hpp"
#include "cpusim/warp.hpp"

#include "cpusim/atomics.hpp"
#include "cpusim/half.hpp"
#include "cpusim/groups.hpp"
