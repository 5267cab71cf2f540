/*-------------------------------------------------------------------------
 *
 * user_code.h
 *	  Functions of users in statements that are planned for advice.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_USER_CODE_H
#define STEWARD_USER_CODE_H

#include "nodes/parsenodes.h"

extern bool steward_calls_foreign_code(Query *query, Oid caller);
extern Query *steward_replace_user_code(Query *query, int *next_param);

#endif							/* STEWARD_USER_CODE_H */
