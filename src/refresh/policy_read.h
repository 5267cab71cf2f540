/*-------------------------------------------------------------------------
 *
 * policy_read.h
 *	  Rows of policies as structures, and as text.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_POLICY_READ_H
#define STEWARD_POLICY_READ_H

#include "refresh/policy.h"

/* policy_read.c; in a section of policy_table.c */
extern uint64 steward_policy_select(Oid view);
extern StewardPolicy *steward_policy_row(uint64 row);

/* policy.c */
extern void steward_policy_follow_views(void);

#endif							/* STEWARD_POLICY_READ_H */
