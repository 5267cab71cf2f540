/*-------------------------------------------------------------------------
 *
 * ddl_hooks.h
 *	  Keeps refresh workers out of the way of commands on whole databases.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_DDL_HOOKS_H
#define STEWARD_DDL_HOOKS_H

extern void steward_ddl_hooks_init(void);

#endif							/* STEWARD_DDL_HOOKS_H */
