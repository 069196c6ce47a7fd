// SPDX-License-Identifier: GPL-2.0
/* A record is read, see record.h, and brought to the size of a picture. */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ktierctl.h"
#include "plot.h"

/* More is no record that we wrote. */
#define ORDER_MAX	40
#define SECONDS_MAX	1e9
#define ADDRESS_BITS	58
#define CELLS_MAX	(4UL << 20)

struct mapped {
	u64 from, to;
	char *name;
};

/*
 * Three times through the record: 1. what it is about, 2. all cells that it has, 3.
 * their states, column by column.
 */
struct reading {
	struct picture *picture;
	int pass;
	bool mixed;
	unsigned int order;	/* of the lines just now */
	struct cells cells;	/* of the largest order */
	struct mapped *mapped;
	size_t nr_mapped;
	u64 frames;		/* that have begun, in this pass */
	unsigned int columns;	/* that are drawn */
};

static bool read_info(struct picture *picture, const char *line)
{
	if (sscanf(line, "pid %d", &picture->pid) == 1 ||
	    sscanf(line, "name %31[^\n]", picture->name) == 1 ||
	    sscanf(line, "kernel %63[^\n]", picture->kernel) == 1 ||
	    sscanf(line, "started %lld", &picture->started) == 1)
		return true;
	if (sscanf(line, "page %llu", &picture->page_kb) == 1) {
		picture->page_kb /= 1024;
		return picture->page_kb > 0 && picture->page_kb <= 1024;
	}
	return true;
}

static bool read_order(struct reading *reading, const char *line)
{
	int end;

	if (sscanf(line, "%u%n", &reading->order, &end) != 1 || reading->order > ORDER_MAX)
		return false;
	if (reading->pass == 1 && reading->order > reading->picture->order)
		reading->picture->order = reading->order;
	return true;
}

static bool read_mapping(struct reading *reading, const char *line)
{
	struct mapped mapped;
	int name = 0;

	if (sscanf(line, "%llx-%llx %n", &mapped.from, &mapped.to, &name) != 2 || !name)
		return false;
	if (reading->pass != 1)
		return true;
	mapped.name = strndup(line + name, strcspn(line + name, "\n"));
	if (!(reading->nr_mapped & (reading->nr_mapped - 1)))
		reading->mapped = realloc(reading->mapped, 2 * (reading->nr_mapped + 1) *
					  sizeof(mapped));
	if (!mapped.name || !reading->mapped)
		abort();
	reading->mapped[reading->nr_mapped++] = mapped;
	return true;
}

static void add_look(struct picture *picture, const struct look *look)
{
	if (!(picture->nr_looks & (picture->nr_looks - 1)))
		picture->looks = realloc(picture->looks, 2 * (picture->nr_looks + 1) *
					 sizeof(*look));
	if (!picture->looks)
		abort();
	picture->looks[picture->nr_looks++] = *look;
	picture->seconds = look->time;
}

/* Of some cells, a number that looks like chance. */
static size_t draw(size_t number, unsigned int row, unsigned int column)
{
	u64 x = ((u64)row << 32 | column) + 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return (x ^ x >> 31) % number;
}

/* Which cell stands in this place. */
static size_t cell_at(const struct reading *reading, unsigned int row, unsigned int column)
{
	size_t cells = reading->cells.count, rows = reading->picture->rows;
	size_t first = row * cells / rows, next = (row + 1) * cells / rows;

	if (next <= first + 1)
		return first;
	return first + draw(next - first, row, reading->mixed ? column : 0);
}

/* What was not known yet is taken for what it turned out to be. */
static unsigned char known_state(const struct cell *cell)
{
	if (cell->state == STATE_ABSENT || !(cell->state & STATE_UNKNOWN))
		return cell->state;
	return (cell->state & STATE_LOW) | (cell->written == STATE_ABSENT ? 0 : cell->written);
}

static void draw_column(struct reading *reading, unsigned int column)
{
	struct picture *picture = reading->picture;

	for (unsigned int row = 0; row < picture->rows; row++)
		picture->states[(size_t)row * picture->columns + column] =
			known_state(&reading->cells.cell[cell_at(reading, row, column)]);
}

/* A frame is there as a whole: draw the columns that lie in the time before it. */
static void end_frame(struct reading *reading)
{
	struct picture *picture = reading->picture;

	if (reading->pass != 3 || !reading->frames)
		return;
	while (reading->columns < picture->columns &&
	       column_time(picture, reading->columns) <=
	       picture->looks[reading->frames - 1].time)
		draw_column(reading, reading->columns++);
}

static bool read_frame(struct reading *reading, const char *line)
{
	struct picture *picture = reading->picture;
	struct look look = { };

	if (sscanf(line, "%lf %*u %*u %llu %llu %llu %llu %*u %*u %llu %llu", &look.time,
		   &look.top, &look.low, &look.hot_top, &look.hot_low, &look.promoted,
		   &look.demoted) != 7)
		return false;
	if (!(look.time >= picture->seconds || reading->pass > 1) || look.time < 0 ||
	    look.time > SECONDS_MAX)
		return false;
	end_frame(reading);
	reading->frames++;
	if (reading->pass == 1)
		add_look(picture, &look);
	return true;
}

static int hex_digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

static void read_state(struct reading *reading, u64 page, unsigned char state)
{
	struct cell *cell;

	if (reading->pass == 2 && state != STATE_ABSENT)
		cells_add(&reading->cells, page, 1);
	cell = reading->pass > 1 ? cells_find(&reading->cells, page) : NULL;
	if (!cell)
		return;
	cell->state = state;
	/* The first that is known of its heat. */
	if (cell->written == STATE_ABSENT && !(state & STATE_UNKNOWN))
		cell->written = state & STATE_HEAT;
}

static bool read_cells(struct reading *reading, const char *line)
{
	const char *digits;
	int at = 0;
	u64 number;

	if (sscanf(line, "%llx %n", &number, &at) != 1 || !at ||
	    number >> (ADDRESS_BITS - reading->order))
		return false;
	for (digits = line + at; isxdigit(digits[0]) && isxdigit(digits[1]); digits += 2)
		read_state(reading, sample_page(number++, reading->order),
			   hex_digit(digits[0]) << 4 | hex_digit(digits[1]));
	return *digits == '\n' && reading->cells.count <= CELLS_MAX;
}

static bool read_line_of(struct reading *reading, const char *line)
{
	u64 lost;

	if (line[0] && line[1] != ' ')
		return false;
	switch (line[0]) {
	case 'i':
		return read_info(reading->picture, line + 2);
	case 'o':
		return read_order(reading, line + 2);
	case 'm':
		return read_mapping(reading, line + 2);
	case 'f':
		return read_frame(reading, line + 2);
	case 'p':
		return read_cells(reading, line + 2);
	case 'l':
		if (reading->pass == 1 && sscanf(line + 2, "%llu", &lost) == 1)
			reading->picture->lost += lost;
		return true;
	case 'e':
		reading->picture->ended = true;
		return true;
	default:
		return true;	/* of a later version */
	}
}

/* Behind the first line. */
static bool read_pass(struct reading *reading, FILE *in, const char *file)
{
	unsigned long number = 1;
	char *line = NULL;
	size_t size = 0;
	ssize_t length;
	bool good = true;

	reading->order = 0;
	reading->frames = 0;
	while (good && (length = getline(&line, &size, in)) > 0) {
		number++;
		/* The last one may have no end yet. */
		if (line[length - 1] == '\n')
			good = read_line_of(reading, line);
	}
	free(line);
	if (!good)
		complain("%s: line %lu is not what a record has there; the file is damaged.",
			 file, number);
	end_frame(reading);
	return good;
}

static bool check_magic(FILE *in, const char *file)
{
	char line[64];
	int version = 0;

	rewind(in);
	if (!fgets(line, sizeof(line), in) ||
	    sscanf(line, RECORD_MAGIC " %d", &version) != 1 || !strchr(line, '\n')) {
		complain("%s is no record; 'ktierctl record' makes one.", file);
		return false;
	}
	if (version > RECORD_VERSION) {
		complain("%s was made by a later ktierctl (format %d, this one knows %d).", file,
			 version, RECORD_VERSION);
		return false;
	}
	return true;
}

/* The latest that was said of an address. */
static const struct mapped *find_mapped(const struct reading *reading, u64 address)
{
	for (size_t i = reading->nr_mapped; i-- > 0;)
		if (address >= reading->mapped[i].from && address < reading->mapped[i].to)
			return &reading->mapped[i];
	return NULL;
}

static void name_band(struct band *band, const struct mapped *mapped)
{
	const char *name = mapped ? mapped->name : "?";
	const char *slash = name[0] == '/' ? strrchr(name, '/') : NULL;

	snprintf(band->name, sizeof(band->name), "%s", slash ? slash + 1 : name);
	for (char *c = band->name; *c; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
}

static void add_band(struct picture *picture, const struct band *band)
{
	if (!(picture->nr_bands & (picture->nr_bands - 1)))
		picture->bands = realloc(picture->bands, 2 * (picture->nr_bands + 1) *
					 sizeof(*band));
	if (!picture->bands)
		abort();
	picture->bands[picture->nr_bands++] = *band;
}

/* The cells of one mapping, or of several of the same name without a gap between them. */
static void make_bands(struct reading *reading)
{
	struct picture *picture = reading->picture;
	u64 cell_kb = picture->page_kb << picture->order;
	const struct mapped *mapped, *before = NULL;
	u64 end = 0;

	for (size_t i = 0; i < reading->cells.count; i++) {
		u64 number = reading->cells.cell[i].number;
		struct band band = { .size_kb = cell_kb };

		band.address = sample_page(number, picture->order) * picture->page_kb * 1024;
		mapped = find_mapped(reading, band.address);
		name_band(&band, mapped);
		band.row = i * picture->rows / reading->cells.count;
		if (picture->nr_bands && (mapped == before || number == end) &&
		    !strcmp(picture->bands[picture->nr_bands - 1].name, band.name)) {
			picture->bands[picture->nr_bands - 1].size_kb += cell_kb;
		} else {
			if (mapped)
				band.address = mapped->from;
			add_band(picture, &band);
		}
		before = mapped;
		end = number + 1;
	}
	for (size_t i = 0; i < picture->nr_bands; i++) {
		unsigned int next = i + 1 < picture->nr_bands ? picture->bands[i + 1].row :
				    picture->rows;

		picture->bands[i].rows = next - picture->bands[i].row;
	}
}

static bool prepare_pass(struct reading *reading, const char *file)
{
	struct picture *picture = reading->picture;

	if (reading->pass == 2) {
		cells_init(&reading->cells, CELLS_MAX, 0);
		reading->cells.order = picture->order;
	} else if (reading->pass == 3) {
		if (!picture->nr_looks || !reading->cells.count) {
			complain("%s has no page in it yet; was memory of the process marked?",
				 file);
			return false;
		}
		picture->cells = reading->cells.count;
		make_bands(reading);
		picture->states = malloc((size_t)picture->rows * picture->columns);
		if (!picture->states)
			abort();
		memset(picture->states, STATE_ABSENT, (size_t)picture->rows * picture->columns);
		for (size_t i = 0; i < reading->cells.count; i++)
			reading->cells.cell[i].state = STATE_ABSENT;
	}
	return true;
}

bool picture_read(struct picture *picture, const char *file, bool mixed)
{
	struct reading reading = { .picture = picture, .mixed = mixed };
	FILE *in = fopen(file, "re");
	bool good = in;

	if (!in)
		complain("%s can't be read (%s).", file, strerror(errno));
	picture->page_kb = 4;
	for (reading.pass = 1; good && reading.pass <= 3; reading.pass++)
		good = prepare_pass(&reading, file) && check_magic(in, file) &&
		       read_pass(&reading, in, file);
	for (size_t i = 0; i < reading.nr_mapped; i++)
		free(reading.mapped[i].name);
	free(reading.mapped);
	cells_free(&reading.cells);
	if (in)
		fclose(in);
	return good;
}

void picture_free(struct picture *picture)
{
	free(picture->looks);
	free(picture->states);
	free(picture->bands);
}

const struct look *look_at(const struct picture *picture, unsigned int column)
{
	double time = column_time(picture, column);
	size_t low = 0, high = picture->nr_looks - 1;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (picture->looks[middle].time < time)
			low = middle + 1;
		else
			high = middle;
	}
	return &picture->looks[low];
}

double share_of(u64 part, u64 other)
{
	return part + other ? 100.0 * part / (part + other) : -1;
}

static unsigned char gamma_of(double linear)
{
	double value = linear <= 0.0031308 ? 12.92 * linear : 1.055 * pow(linear, 1 / 2.4) - 0.055;

	return value <= 0 ? 0 : value >= 1 ? 255 : value * 255 + 0.5;
}

/*
 * Oklab, in which equal steps look equal. The hotter the darker, and equally dark in
 * both tiers; the top tier is orange and the lower ones are blue, which those who do
 * not tell red from green tell apart as well.
 */
struct rgb color_of(unsigned char state)
{
	const double degree = M_PI / 180;
	double heat = (state & STATE_HEAT) / (double)HEAT_MAX;
	double hue = (state & STATE_LOW ? 250 : 50) * degree;
	double light = 0.945 - 0.385 * heat, chroma = 0.025 + 0.13 * heat;
	double a = chroma * cos(hue), b = chroma * sin(hue);
	double l, m, s;

	if (state == STATE_ABSENT)
		return (struct rgb) { 255, 255, 255 };
	l = pow(light + 0.3963377774 * a + 0.2158037573 * b, 3);
	m = pow(light - 0.1055613458 * a - 0.0638541728 * b, 3);
	s = pow(light - 0.0894841775 * a - 1.2914855480 * b, 3);
	return (struct rgb) {
		gamma_of(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
		gamma_of(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
		gamma_of(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s),
	};
}
