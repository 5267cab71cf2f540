/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Differences between the server versions that pg_steward supports.
 *
 * This is the only file that may test PG_VERSION_NUM.  The rest of the code
 * calls the interface of the newest server; what older servers lack is
 * emulated here under the new name.  Versions 15 to 19.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_COMPAT_H
#define STEWARD_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "pg_steward needs PostgreSQL 15 or newer"
#endif

/*
 * Since 18 the server can tell users which version of a module it loaded
 * (pg_get_loaded_modules()).
 */
#if PG_VERSION_NUM >= 180000
#define STEWARD_MODULE_MAGIC(module_name, module_version) \
	PG_MODULE_MAGIC_EXT(.name = (module_name), .version = (module_version))
#else
#define STEWARD_MODULE_MAGIC(module_name, module_version) \
	PG_MODULE_MAGIC
#endif

#endif							/* STEWARD_COMPAT_H */
