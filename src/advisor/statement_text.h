/*-------------------------------------------------------------------------
 *
 * statement_text.h
 *	  Texts of statements with parameters in place of constants.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_STATEMENT_TEXT_H
#define STEWARD_STATEMENT_TEXT_H

#include "nodes/bitmapset.h"

extern char *steward_text_repair(const char *text);
extern Bitmapset *steward_text_params_at(const char *text, int position);
extern Bitmapset *steward_text_case_params(const char *text);
extern char *steward_text_name_at(const char *text, int position);
extern bool steward_text_is_command(const char *text, bool toplevel);
extern int *steward_text_params(const char *text, int *count);
extern int	steward_text_max_param(const char *text);
extern char *steward_text_assigned_value(const char *text);

#endif							/* STEWARD_STATEMENT_TEXT_H */
