/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Channels from a Linux program: finds its ivshmem functions in sysfs, maps their registers and memory, and
 * is one end of the ring of guests/lib/ring.h, whose other end may be a bare-metal guest. Where the
 * function is bound to uio_pci_generic it sleeps until its doorbell rings, else it asks again and again.
 * Needs root. usage: chan list | chan self NAME | chan send|receive KIB DATA BACK, with channels' names
 */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/ring.h"
#include "lib/sha256.h"

#define DEVICES	   "/sys/bus/pci/devices"
#define IVSHMEM	   0x11101af4u
#define COMMAND	   0x04
#define INTX_OFF   0x0400
#define CAP	   0x34
#define CAP_VENDOR 0x09

enum { MASK, STATUS, POSITION, DOORBELL };

struct channel {
	char dir[300], name[33];
	volatile uint32_t *reg;
	uint8_t *memory;
	uint64_t size;
	int config, uio; /* files; uio is -1 without UIO */
	uint32_t rung; /* all that wait_for_doorbell() has seen */
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int open_in(const struct channel *c, const char *file)
{
	char path[400];
	snprintf(path, sizeof(path), "%s/%s", c->dir, file);
	return open(path, O_RDWR | O_SYNC);
}

/* The name is in a vendor-specific capability */
static bool read_name(struct channel *c)
{
	uint8_t config[256] = { 0 };
	uint32_t id;
	if (pread(c->config, config, sizeof(config), 0) != sizeof(config)) {
		return false;
	}
	memcpy(&id, config, 4);
	uint8_t at = config[CAP];
	if (id != IVSHMEM || at > 256 - 35 || config[at] != CAP_VENDOR) {
		return false;
	}
	memcpy(c->name, &config[at + 3], 32);
	return true;
}

static void *map(const struct channel *c, const char *file, uint64_t *size)
{
	struct stat st;
	int fd = open_in(c, file);
	if (fd < 0 || fstat(fd, &st)) {
		die(file);
	}
	*size = (uint64_t)st.st_size;
	/* a file of less than a page is mapped as its whole page, which is its own */
	void *at = mmap(NULL, *size < 4096 ? 4096 : *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED) {
		die(file);
	}
	close(fd);
	return at;
}

static int open_uio(const struct channel *c)
{
	char path[400];
	struct dirent *e;
	int fd = -1;
	snprintf(path, sizeof(path), "%s/uio", c->dir);
	DIR *d = opendir(path);
	while (d && (e = readdir(d))) {
		if (!strncmp(e->d_name, "uio", 3)) {
			snprintf(path, sizeof(path), "/dev/%.32s", e->d_name);
			fd = open(path, O_RDWR);
		}
	}
	if (d) {
		closedir(d);
	}
	return fd;
}

/* The @n-th ivshmem function, from 0; or the one called @name. Return: false if there is none. */
static bool find(struct channel *c, const char *name, unsigned n)
{
	struct dirent **all;
	int nr = scandir(DEVICES, &all, NULL, alphasort);
	for (int i = 0; i < nr; i++) {
		*c = (struct channel){ .uio = -1 };
		snprintf(c->dir, sizeof(c->dir), DEVICES "/%s", all[i]->d_name);
		c->config = open_in(c, "config");
		if (c->config >= 0 && read_name(c) && (name ? !strcmp(c->name, name) : n-- == 0)) {
			return true;
		}
		if (c->config >= 0) {
			close(c->config);
		}
	}
	return false;
}

static void open_channel(struct channel *c, const char *name)
{
	uint64_t len;
	if (!find(c, name, 0)) {
		fprintf(stderr, "chan: no channel \"%s\"\n", name);
		exit(1);
	}
	c->reg = map(c, "resource0", &len);
	c->memory = map(c, "resource2", &c->size);
	c->uio = open_uio(c);
	c->reg[MASK] = c->uio >= 0 ? ~0u : 0;
}

/* uio_pci_generic has switched INTx off when it gave the interrupt to us: on again, and wait for the next */
static void wait_for_doorbell(struct channel *c)
{
	uint16_t command;
	uint32_t count;
	if (c->uio < 0) {
		sched_yield();
		return;
	}
	if (pread(c->config, &command, 2, COMMAND) != 2) {
		die("config");
	}
	command &= (uint16_t)~INTX_OFF;
	if (pwrite(c->config, &command, 2, COMMAND) != 2 || read(c->uio, &count, 4) != 4) {
		die("uio");
	}
	c->rung |= c->reg[STATUS]; /* takes what has been rung, and ends the interrupt */
}

struct pipe {
	struct ring ring;
	struct channel data, back;
};

static void must(bool is_ok)
{
	if (!is_ok) {
		fprintf(stderr, "chan: the other side's position is impossible\n");
		exit(1);
	}
}

static void open_pipe(struct pipe *p, char **names, bool is_producer)
{
	open_channel(&p->data, names[0]);
	open_channel(&p->back, names[1]);
	ring_init(&p->ring, p->data.memory, p->data.size, p->back.memory, is_producer);
}

/* The doorbell of the data channel has two members: the other one is 1 - our position */
static void after(struct pipe *p, int64_t n)
{
	must(n >= 0);
	if (n > 0) {
		if (ring_has_sleeper(&p->ring)) {
			p->data.reg[DOORBELL] = (1 - p->data.reg[POSITION]) << 16;
		}
		return;
	}
	ring_wait(&p->ring, true);
	while (ring_ready(&p->ring) == 0) {
		wait_for_doorbell(&p->data);
	}
	ring_wait(&p->ring, false);
}

static void put(struct pipe *p, const uint8_t *at, uint64_t len)
{
	for (int64_t n; len; at += n, len -= (uint64_t)n) {
		n = ring_put(&p->ring, at, len);
		after(p, n);
	}
}

static void get(struct pipe *p, uint8_t *at, uint64_t len)
{
	for (int64_t n; len; at += n, len -= (uint64_t)n) {
		n = ring_get(&p->ring, at, len);
		after(p, n);
	}
}

static uint64_t chunk[512];

static int send(struct pipe *p, uint64_t len)
{
	struct sha256 s;
	uint8_t digest[32];
	char hex[65];
	uint64_t seed = 0x9e3779b97f4a7c15;
	sha256_start(&s);
	for (; len; len -= sizeof(chunk)) {
		for (unsigned i = 0; i < 512; i++) { /* xorshift64 */
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			chunk[i] = seed;
		}
		sha256_add(&s, chunk, sizeof(chunk));
		put(p, (uint8_t *)chunk, sizeof(chunk));
	}
	sha256_end(&s, digest);
	put(p, digest, sizeof(digest));
	sha256_hex(digest, hex);
	printf("chan: sent sha256 %s\n", hex);
	return 0;
}

static int receive(struct pipe *p, uint64_t len)
{
	struct sha256 s;
	uint8_t digest[32], sent[32];
	char hex[65];
	sha256_start(&s);
	for (; len; len -= sizeof(chunk)) {
		get(p, (uint8_t *)chunk, sizeof(chunk));
		sha256_add(&s, chunk, sizeof(chunk));
	}
	sha256_end(&s, digest);
	get(p, sent, sizeof(sent));
	sha256_hex(digest, hex);
	printf("chan: received sha256 %s %s\n", hex, memcmp(digest, sent, 32) ? "WRONG" : "as sent");
	return memcmp(digest, sent, 32) != 0;
}

/* Rings itself: the shortest way through doorbell, interrupt and UIO */
static int self(const char *name)
{
	static struct channel c;
	open_channel(&c, name);
	if (c.uio < 0) {
		fprintf(stderr, "chan: %s is not bound to uio_pci_generic\n", name);
		return 1;
	}
	for (unsigned vector = 0; vector < 32; vector++) {
		c.reg[DOORBELL] = c.reg[POSITION] << 16 | vector;
		while (!(c.rung >> vector & 1)) {
			wait_for_doorbell(&c);
		}
	}
	printf("chan: %s rung by itself: %x\n", name, c.rung);
	return 0;
}

static int list(void)
{
	struct channel c;
	for (unsigned n = 0; find(&c, NULL, n); n++) {
		uint64_t len;
		volatile uint32_t *reg = map(&c, "resource0", &len);
		(void)map(&c, "resource2", &len);
		printf("chan: %s %s %lu KiB position %u\n", c.dir + sizeof(DEVICES), c.name, len >> 10, reg[POSITION]);
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct pipe p;
	bool is_send = argc == 5 && !strcmp(argv[1], "send");
	if (argc == 2 && !strcmp(argv[1], "list")) {
		return list();
	}
	if (argc == 3 && !strcmp(argv[1], "self")) {
		return self(argv[2]);
	}
	if (!is_send && (argc != 5 || strcmp(argv[1], "receive"))) {
		fprintf(stderr, "usage: chan list | chan self NAME | chan send|receive KIB DATA BACK\n");
		return 2;
	}
	uint64_t len = strtoull(argv[2], NULL, 0) * 1024 / sizeof(chunk) * sizeof(chunk);
	open_pipe(&p, argv + 3, is_send);
	int status = is_send ? send(&p, len) : receive(&p, len);
	printf("chan: %s by %s\n", p.data.name, p.data.uio < 0 ? "polling" : "doorbell");
	return status;
}
