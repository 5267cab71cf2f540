/*-------------------------------------------------------------------------
 *
 * n_plus_one.h
 *	  Statements that run once for each row of another one.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_N_PLUS_ONE_H
#define STEWARD_N_PLUS_ONE_H

extern void steward_nplusone_init(void);

#endif							/* STEWARD_N_PLUS_ONE_H */
