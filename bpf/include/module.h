/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Kernel modules as values: struct module_value, followed by MODULE_NAME_BYTES of name with zeros behind it. */
#ifndef TRIGON_MODULE_H
#define TRIGON_MODULE_H

#include "core.h"

/* A kernel without CONFIG_MODULE_SIG does not check signatures. */
#define READ_SIGNATURE(from) (bpf_core_field_exists((from)->sig_ok) ? BPF_CORE_READ(from, sig_ok) : SIGNATURE_UNKNOWN)

static __always_inline bool read_module_name(struct module_value *value, const char *name)
{
	char *to = (char *)(value + 1);

	__builtin_memset(value, 0, sizeof(*value));
	__builtin_memset(to, 0, MODULE_NAME_BYTES);
	return bpf_probe_read_kernel_str(to, MODULE_NAME_BYTES, name) >= 0;
}

static __always_inline bool read_module(const struct module *module, struct module_value *value)
{
	if (!read_module_name(value, module->name))
		return false;
	value->taints = BPF_CORE_READ(module, taints);
	value->signature_ok = READ_SIGNATURE(module);
	return true;
}

static __always_inline bool read_load_info(const struct load_info *info, struct module_value *value)
{
	if (!read_module_name(value, BPF_CORE_READ(info, name)))
		return false;
	value->signature_ok = READ_SIGNATURE(info);
	return true;
}

#endif
