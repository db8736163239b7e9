// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Defines the maps. */
#define TRIGON_DEFINE_MAPS
#include "maps.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
