# What one types here. `make check` is the gate: what it refuses is not merged.

CARGO ?= cargo
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
UNITDIR ?= $(SYSCONFDIR)/systemd/system
DESTDIR ?=
# Kills of the crash test; `make check` runs a handful, `make crash` this many.
KEPD_CRASH_KILLS ?= 200
# Commands of hostile sessions; `make check` says some thousands, `make fuzz` this many.
KEPD_FUZZ_COMMANDS ?= 5000000

# The independent judges of the test suite, and the Debian packages they come in.
JUDGES = openssl xmlsec1 xmllint python3 softhsm2-util pkcs11-tool pdftotext qpdf
PACKAGES = openssl xmlsec1 libxml2-utils python3 softhsm2 opensc poppler-utils qpdf

# Mail clients of Debian that `make clients` tries; those with their own names first, then their packages.
CLIENTS = mbsync offlineimap neomutt
CLIENT_PACKAGES = isync offlineimap3 neomutt

.PHONY: check fmt lint test doc deps crash fuzz clients demo bench bench-imap install

# The architecture is held by the tests (tests/architecture.rs), the documents by tests/paperwork.rs.
check: deps fmt lint test doc

fmt:
	$(CARGO) fmt --all --check

lint:
	$(CARGO) clippy --locked --all-targets -- -D warnings

test:
	$(CARGO) test --locked

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

# $(call have,TOOLS,PACKAGES): installs the packages where it may, if a tool is missing; otherwise says in one line what to install.
define have
	@missing=""; for tool in $(1); do command -v $$tool >/dev/null 2>&1 || missing="$$missing $$tool"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
		echo "installing $(2) (missing:$$missing)"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(2) >/dev/null; \
	else \
		echo "missing:$$missing. Install: apt-get install $(2)" >&2; exit 1; \
	fi
endef

deps:
	$(call have,$(JUDGES),$(PACKAGES))

# Kills the daemon at random moments and looks for what was lost.
crash:
	KEPD_CRASH_KILLS=$(KEPD_CRASH_KILLS) $(CARGO) test --locked --test journey crash -- --nocapture

# Says millions of hostile commands to the engines and to the real door; the seed is printed, KEPD_FUZZ_SEED sets it.
fuzz:
	KEPD_FUZZ_COMMANDS=$(KEPD_FUZZ_COMMANDS) $(CARGO) bench --locked --bench fuzz_imap

# Real mail clients against a fresh demo (docs/clients.md).
clients: deps
	$(call have,$(CLIENTS),$(CLIENT_PACKAGES))
	$(CARGO) build --locked --bins
	python3 -B tests/clients/run.py target/debug

# Two providers in one process, the whole road on a real message; stays up until Ctrl-C.
demo:
	$(CARGO) run --locked --release -- demo

bench:
	$(CARGO) bench --locked --bench services --bench organisation

# The IMAP door beside Dovecot (Debian: dovecot-imapd), in the same run.
bench-imap:
	$(CARGO) build --locked --release --bins
	$(CARGO) bench --locked --bench imap

install:
	$(CARGO) build --locked --release --bins
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(SYSCONFDIR)/kepd $(DESTDIR)$(UNITDIR)
	install -m 0755 target/release/kepd target/release/kepctl $(DESTDIR)$(PREFIX)/bin/
	sed 's|@PREFIX@|$(PREFIX)|g; s|@SYSCONFDIR@|$(SYSCONFDIR)|g' systemd/kepd.service > $(DESTDIR)$(UNITDIR)/kepd.service
	chmod 0644 $(DESTDIR)$(UNITDIR)/kepd.service
	install -d $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	target/release/kepctl man --out $(DESTDIR)$(PREFIX)/share/man/man1
	target/release/kepctl completions bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/kepctl
	test -e $(DESTDIR)$(SYSCONFDIR)/kepd/kepd.toml || install -m 0640 config/kepd.toml $(DESTDIR)$(SYSCONFDIR)/kepd/kepd.toml
