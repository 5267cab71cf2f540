/*-------------------------------------------------------------------------
 *
 * store_file.c
 *	  Latency histograms in shared memory: keeping them over a restart.
 *
 * The postmaster writes a file at the end of a clean shutdown, when no other
 * process is left, and reads and removes it at the next start, before there
 * is one.  A file is therefore never older than the last shutdown: after a
 * crash, where counters were lost that it would not know of, there is none.
 *
 * The file is a header, the entries, and a checksum over all of it.  The
 * header says what the rest means; a file of another format, another major
 * version (whose query ids differ), another geometry, or a damaged one, is
 * dropped with a line in the server's log.  Numbers of a histogram are
 * written with seven bits a byte: distance to the last bucket, then count; a
 * distance of 0 ends the histogram.  Periods do not survive: what is in the
 * file counts as older than the start.  If there are more entries than
 * pg_steward.max_queries, which was lowered, the last ones count as evicted.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>
#include <unistd.h>

#include "catalog/pg_control.h"
#include "common/controldata_utils.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/guc.h"
#include "latency/store_layout.h"

#define STORE_FILE		"pg_stat/pg_steward_latency.stat"
#define STORE_MAGIC		0x534c4831	/* format 1 */

typedef struct FileHeader
{
	uint32		magic;
	uint32		major;			/* of the server */
	uint32		unit_ns;
	uint32		buckets;
	TimestampTz reset_at;
	int64		evictions;
	int64		dropped;
	uint32		nentries;
	uint32		padding;
} FileHeader;

typedef struct FileEntry
{
	int64		queryid;
	Oid			database;
	Oid			role;
	uint32		toplevel;
	uint32		aborted;
	uint64		elapsed_ns;
	uint64		waited_ns;
	TimestampTz since;
} FileEntry;

/* What is being read. */
typedef struct Reader
{
	const char *data;
	size_t		size;
	size_t		position;
	bool		damaged;
} Reader;

static void
append_number(StringInfo file, uint64 number)
{
	for (; number >= 0x80; number >>= 7)
		appendStringInfoChar(file, (char) (number | 0x80));
	appendStringInfoChar(file, (char) number);
}

static void
read_bytes(Reader *reader, void *target, size_t size)
{
	if (reader->damaged || reader->size - reader->position < size)
	{
		reader->damaged = true;
		memset(target, 0, size);
		return;
	}
	memcpy(target, reader->data + reader->position, size);
	reader->position += size;
}

static uint64
read_number(Reader *reader)
{
	uint64		number = 0;
	uint8		byte = 0x80;

	for (int shift = 0; shift < 64 && (byte & 0x80); shift += 7)
	{
		read_bytes(reader, &byte, 1);
		number |= (uint64) (byte & 0x7f) << shift;
	}
	return number;
}

/* Append all entries; returns their number. */
static uint32
append_entries(StringInfo file)
{
	StewardStoreScan *scan = steward_store_scan_begin(0);
	StewardLatency latency;
	uint32		n = 0;

	for (; steward_store_scan_next(scan, &latency); n++)
	{
		FileEntry	entry = {
			.queryid = latency.key.queryid,
			.database = latency.key.database,
			.role = latency.key.role,
			.toplevel = latency.key.toplevel,
			.aborted = latency.aborted,
			.elapsed_ns = latency.elapsed_ns,
			.waited_ns = latency.waited_ns,
			.since = latency.since,
		};
		int			last = -1;

		appendBinaryStringInfo(file, (char *) &entry, sizeof(entry));
		for (int i = 0; i < STEWARD_HISTOGRAM_BUCKETS; i++)
		{
			if (latency.histogram.counts[i] == 0)
				continue;
			append_number(file, i - last);
			append_number(file, latency.histogram.counts[i]);
			last = i;
		}
		append_number(file, 0);
	}
	return n;
}

/* Write the file under another name first, and make it durable. */
static void
write_file(const StringInfoData *file)
{
	FILE	   *stream = AllocateFile(STORE_FILE ".tmp", PG_BINARY_W);

	if (stream == NULL ||
		fwrite(file->data, 1, file->len, stream) != file->len)
	{
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", STORE_FILE ".tmp")));
		if (stream != NULL)
			FreeFile(stream);
		unlink(STORE_FILE ".tmp");
		return;
	}
	if (FreeFile(stream) != 0)
	{
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", STORE_FILE ".tmp")));
		unlink(STORE_FILE ".tmp");
		return;
	}
	(void) durable_rename(STORE_FILE ".tmp", STORE_FILE, LOG);
}

/*
 * Was the database shut down?  The postmaster's exit code is no answer, it is
 * 0 after an immediate shutdown.
 */
static bool
shutdown_was_clean(void)
{
	bool		crc_ok;
	ControlFileData *control = get_controlfile(DataDir, &crc_ok);

	return crc_ok && (control->state == DB_SHUTDOWNED ||
					  control->state == DB_SHUTDOWNED_IN_RECOVERY);
}

/*
 * Write everything to the file, if the server ends in an orderly way.
 * Callback of the postmaster's on_shmem_exit().
 */
void
steward_store_save(int code, Datum arg)
{
	StoreShared *shared = steward_store.shared;
	StringInfoData file;
	FileHeader	header = {
		.magic = STORE_MAGIC,
		.major = STEWARD_SERVER_MAJOR,
		.unit_ns = STEWARD_HISTOGRAM_UNIT_NS,
		.buckets = STEWARD_HISTOGRAM_BUCKETS,
	};
	pg_crc32c	crc;

	if (code != 0 || shared == NULL || !steward_save || !shutdown_was_clean())
		return;

	header.reset_at = shared->reset_at;
	header.evictions = shared->evictions;
	header.dropped = pg_atomic_read_u64(&shared->dropped);

	initStringInfo(&file);
	appendBinaryStringInfo(&file, (char *) &header, sizeof(header));
	header.nentries = append_entries(&file);
	memcpy(file.data, &header, sizeof(header));

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, file.data, file.len);
	FIN_CRC32C(crc);
	appendBinaryStringInfo(&file, (char *) &crc, sizeof(crc));
	write_file(&file);
}

/* Put one bucket of an entry back; what a counter cannot hold is spilled. */
static void
load_bucket(LatencyEntry *entry, int bucket, uint64 count)
{
	HistogramPage *page = steward_store_page(entry,
											 bucket / STEWARD_HISTOGRAM_COLUMNS);
	int			column = bucket % STEWARD_HISTOGRAM_COLUMNS;
	uint32		low = count & PG_INT32_MAX;

	if (page == NULL)
	{
		pg_atomic_fetch_add_u64(&steward_store.shared->dropped, count);
		return;
	}
	pg_atomic_write_u32(&page->counts[column], low);
	page->base[column] = low;
	if (count > low)
		steward_store_spill(entry, bucket, count - low);
}

/* Put one entry back, as far as there is room. */
static void
load_entry(Reader *reader, TimestampTz now)
{
	FileEntry	from;
	StewardLatencyKey key = {0};
	LatencyEntry *entry = NULL;
	uint64		bucket = -1;

	read_bytes(reader, &from, sizeof(from));
	key.queryid = from.queryid;
	key.database = from.database;
	key.role = from.role;
	key.toplevel = from.toplevel != 0;
	if (steward_store_find(&key) == NULL)
		entry = steward_store_insert(&key, now);
	if (entry != NULL)
	{
		LatencyDetails *details = details_of(entry);

		details->since = from.since;
		pg_atomic_write_u32(&entry->aborted, from.aborted);
		pg_atomic_write_u64(&details->latency_ns,
							from.elapsed_ns + from.waited_ns);
		pg_atomic_write_u64(&details->waited_us, from.waited_ns / NS_IN_US);
	}

	for (;;)
	{
		uint64		distance = read_number(reader);
		uint64		count;

		if (distance == 0 || reader->damaged)
			break;
		count = read_number(reader);
		bucket += distance;
		if (bucket >= STEWARD_HISTOGRAM_BUCKETS)
		{
			reader->damaged = true;
			break;
		}
		if (entry != NULL)
			load_bucket(entry, (int) bucket, count);
	}
}

/* Is this a complete file that we can read? */
static bool
check_file(Reader *reader, FileHeader *header)
{
	pg_crc32c	crc;
	pg_crc32c	stored;

	if (reader->size < sizeof(FileHeader) + sizeof(crc))
		return false;
	reader->size -= sizeof(crc);
	memcpy(&stored, reader->data + reader->size, sizeof(crc));
	INIT_CRC32C(crc);
	COMP_CRC32C(crc, reader->data, reader->size);
	FIN_CRC32C(crc);
	read_bytes(reader, header, sizeof(FileHeader));
	return EQ_CRC32C(crc, stored) &&
		header->magic == STORE_MAGIC &&
		header->major == STEWARD_SERVER_MAJOR &&
		header->unit_ns == STEWARD_HISTOGRAM_UNIT_NS &&
		header->buckets == STEWARD_HISTOGRAM_BUCKETS;
}

/* Read the file into memory; false, with a log line, if that fails. */
static bool
read_file(StringInfo file)
{
	FILE	   *stream = AllocateFile(STORE_FILE, PG_BINARY_R);
	char		buffer[8192];
	size_t		n;
	bool		failed;

	if (stream == NULL)
	{
		if (errno != ENOENT)
			ereport(LOG,
					(errcode_for_file_access(),
					 errmsg("could not read file \"%s\": %m", STORE_FILE)));
		return false;
	}
	while ((n = fread(buffer, 1, sizeof(buffer), stream)) > 0)
		appendBinaryStringInfo(file, buffer, n);
	failed = ferror(stream) != 0;
	FreeFile(stream);
	if (failed)
		ereport(LOG,
				(errmsg("could not read file \"%s\"", STORE_FILE)));
	return !failed;
}

/*
 * Read the file into the store, which is empty, and remove it.  For the
 * postmaster while it is alone.
 */
void
steward_store_load(void)
{
	StringInfoData file;
	Reader		reader = {0};
	FileHeader	header;
	TimestampTz now = GetCurrentTimestamp();

	initStringInfo(&file);
	if (steward_save && read_file(&file))
	{
		reader.data = file.data;
		reader.size = file.len;
		if (check_file(&reader, &header))
		{
			StoreShared *shared = steward_store.shared;

			shared->reset_at = header.reset_at;
			shared->evictions = header.evictions;
			pg_atomic_write_u64(&shared->dropped, header.dropped);
			for (uint32 i = 0; i < header.nentries && !reader.damaged; i++)
			{
				if (shared->fresh_entries == shared->nentries)
				{
					shared->evictions += header.nentries - i;
					break;
				}
				load_entry(&reader, now);
			}
		}
		else
			ereport(LOG,
					(errmsg("ignoring file \"%s\", which is damaged or was written by another version",
							STORE_FILE)));
	}
	pfree(file.data);
	unlink(STORE_FILE);
}
