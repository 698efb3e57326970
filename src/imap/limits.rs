//! Every bound of the IMAP engine, with its reason.

/// One line before login. LOGIN and AUTHENTICATE with an initial response fit (RFC 9051 4 asks for 8192 at least).
pub const LINE_MAX_BEFORE_LOGIN: usize = 8 * 1024;
/// All literals of one command before login: a login name and a password.
pub const LITERALS_MAX_BEFORE_LOGIN: u64 = 4 * 1024;
/// One line after login. Clients send UID sets of thousands of ranges.
pub const LINE_MAX: usize = 64 * 1024;
/// All literals of one command after login, the message of APPEND aside.
pub const LITERALS_MAX: u64 = 256 * 1024;
/// Literals in one command: SEARCH with many strings, nothing else, uses more than two.
pub const LITERAL_COUNT_MAX: usize = 64;
/// A refused literal that is already on its way is read and thrown away up to this; past it the session ends.
pub const DRAIN_MAX: u64 = 256 * 1024 * 1024;
/// The largest piece of an APPEND handed on at once.
pub const APPEND_CHUNK_MAX: usize = 64 * 1024;
/// Messages in one APPEND: their beginnings wait in memory until the last has come.
pub const APPEND_MESSAGES_MAX: usize = 64;
/// Octets of all messages of one APPEND: they lie in temporary files until the last has come.
pub const APPEND_TOTAL_MAX: u64 = 256 * 1024 * 1024;
/// LITERAL-: a client may send this much without asking (RFC 7888 5).
pub const LITERAL_MINUS_MAX: u64 = 4096;
/// Nesting of SEARCH keys. Clients build OR chains one level per word; each level costs a stack frame.
pub const SEARCH_DEPTH_MAX: usize = 100;
/// Keys in one SEARCH, all levels together.
pub const SEARCH_KEYS_MAX: usize = 2000;
/// Texts (BODY, TEXT, header fields) in one SEARCH: each is looked for in each message's text, one after another.
pub const SEARCH_TEXTS_MAX: usize = 200;
/// Criteria of one SORT: there are nine fields, and naming one twice says nothing new.
pub const SORT_KEYS_MAX: usize = 18;
/// Ranges of UIDs kept for `$` (RFC 5182 2.5): under a megabyte for each session, whatever was found.
pub const SAVED_RANGES_MAX: usize = 100_000;
/// A tag: clients use a few characters.
pub const TAG_MAX: usize = 64;
/// A mailbox name in UTF-8 octets.
pub const NAME_MAX: usize = 1024;
/// Patterns of one extended LIST; matching is patterns times mailboxes.
pub const LIST_PATTERNS_MAX: usize = 16;
/// Wildcards in one LIST pattern; matching is bounded by pattern times name anyhow.
pub const PATTERN_MAX: usize = 1024;
/// One keyword.
pub const KEYWORD_MAX: usize = 64;
/// Flags in one STORE or APPEND.
pub const FLAGS_MAX: usize = 64;
/// Data items in one FETCH: clients use a dozen. Each may be a header block of 64 KiB in every row.
pub const FETCH_ITEMS_MAX: usize = 64;
/// Header fields named in one FETCH, all items together: each is held against every field of every message.
pub const FIELD_NAMES_MAX: usize = 256;
/// Levels of a part number in FETCH; no message nests deeper and is still shown.
pub const PART_LEVELS_MAX: usize = STRUCTURE_DEPTH_MAX;
/// Commands that were malformed, one after another, before the session ends.
pub const BAD_COMMANDS_MAX: u32 = 20;
/// Commands before login, well or malformed: a client needs some five, one that tries every mechanism and capability a
/// dozen. Without a bound a stranger could keep a core busy for the whole minute he has.
pub const COMMANDS_MAX_BEFORE_LOGIN: u32 = 100;
/// Answers that wait to be written before more commands are read. Short commands have long answers: without this, what
/// is read at once could be answered with a hundred times as much.
pub const OUTPUT_HELD_MAX: usize = 32 * 1024;
/// Failed logins before the session ends.
pub const FAILED_LOGINS_MAX: u32 = 5;
/// Depth to which a body structure is written; deeper parts are shown as opaque.
pub const STRUCTURE_DEPTH_MAX: usize = 64;
/// Groups of events in one NOTIFY: each is asked about each mailbox.
pub const NOTIFY_GROUPS_MAX: usize = 16;
/// Events in one group: there are seven, and a client may say one twice.
pub const NOTIFY_EVENTS_MAX: usize = 16;
/// Mailboxes named in one group.
pub const NOTIFY_NAMES_MAX: usize = 256;
/// Entries in one GETMETADATA or SETMETADATA.
pub const METADATA_ENTRIES_MAX: usize = 64;
/// The name of one entry.
pub const METADATA_NAME_MAX: usize = 256;
/// Resources in one SETQUOTA; three are known to the standard.
pub const QUOTA_RESOURCES_MAX: usize = 8;
/// Fields of ID that are looked at, and octets of their names and values (RFC 2971 3.3).
pub const ID_FIELDS_MAX: usize = 30;
pub const ID_NAME_MAX: usize = 30;
pub const ID_VALUE_MAX: usize = 1024;
