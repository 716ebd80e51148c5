// Everything is in cpusim.hpp, which each candidate is compiled with.
#pragma once
