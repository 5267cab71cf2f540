/*-------------------------------------------------------------------------
 *
 * pressure_level.h
 *	  How hard the server's connection pool is pressed, for all subjects.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_PRESSURE_LEVEL_H
#define STEWARD_PRESSURE_LEVEL_H

/* 0: none, 1: warning, 2: critical */
extern void steward_pressure_level_set(int level);
extern int	steward_pressure_level_get(void);
extern void steward_pressure_level_init(void);

#endif							/* STEWARD_PRESSURE_LEVEL_H */
