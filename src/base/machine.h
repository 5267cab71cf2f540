/*-------------------------------------------------------------------------
 *
 * machine.h
 *	  What the server may use of the machine, and its clock.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_MACHINE_H
#define STEWARD_MACHINE_H

extern double steward_machine_cpus(void);
extern int64 steward_monotonic_ms(void);

#endif							/* STEWARD_MACHINE_H */
