//! The one integration binary: linking is what one waits for on two cores. Each part is a module of its own.
//!
//! `architecture` holds the source against the import table; `paperwork` holds the documents against the source.

// All of this is test code; clippy knows it only inside `#[test]` functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod architecture;
mod paperwork;

#[path = "ers/mod.rs"]
mod ers;
#[path = "fuzz/mod.rs"]
mod fuzz;

#[path = "journey/administering.rs"]
mod administering;
#[path = "journey/answering.rs"]
mod answering;
#[path = "journey/approving.rs"]
mod approving;
#[path = "journey/audience.rs"]
mod audience;
#[path = "journey/auditing.rs"]
mod auditing;
#[path = "journey/auditing_crash.rs"]
mod auditing_crash;
#[path = "journey/auditing_doors.rs"]
mod auditing_doors;
#[path = "journey/auditing_forged.rs"]
mod auditing_forged;
#[path = "journey/autoconfig.rs"]
mod autoconfig;
#[path = "journey/behind_each.rs"]
mod behind_each;
#[path = "journey/bin_daemon.rs"]
mod bin_daemon;
#[path = "journey/binary.rs"]
mod binary;
#[path = "journey/bound_login.rs"]
mod bound_login;
#[path = "journey/canary.rs"]
mod canary;
#[path = "journey/certificate_login.rs"]
mod certificate_login;
#[path = "journey/chain.rs"]
mod chain;
#[path = "journey/crash.rs"]
mod crash;
#[path = "journey/crediting.rs"]
mod crediting;
#[path = "journey/crediting_daemon.rs"]
mod crediting_daemon;
#[path = "journey/crediting_modes.rs"]
mod crediting_modes;
#[path = "journey/crediting_refusals.rs"]
mod crediting_refusals;
#[path = "journey/crediting_walk.rs"]
mod crediting_walk;
#[path = "journey/crediting_warning.rs"]
mod crediting_warning;
#[path = "journey/declaring.rs"]
mod declaring;
#[path = "journey/doors.rs"]
mod doors;
#[path = "journey/enquiring.rs"]
mod enquiring;
#[path = "journey/events.rs"]
mod events;
#[path = "journey/exporting.rs"]
mod exporting;
#[path = "journey/fates.rs"]
mod fates;
#[path = "journey/folders.rs"]
mod folders;
#[path = "journey/forge.rs"]
mod forge;
#[path = "journey/fuzzing.rs"]
mod fuzzing;
#[path = "journey/giving_back.rs"]
mod giving_back;
#[path = "journey/hostile.rs"]
mod hostile;
#[path = "journey/hostile_submission.rs"]
mod hostile_submission;
#[path = "journey/imap_client.rs"]
mod imap_client;
#[path = "journey/imap_fetch.rs"]
mod imap_fetch;
#[path = "journey/indexing.rs"]
mod indexing;
#[path = "journey/isolation.rs"]
mod isolation;
#[path = "journey/judges.rs"]
mod judges;
#[path = "journey/kamusm.rs"]
mod kamusm;
#[path = "journey/kepctl.rs"]
mod kepctl;
#[path = "journey/lasting.rs"]
mod lasting;
#[path = "journey/lasting_daemon.rs"]
mod lasting_daemon;
#[path = "journey/lasting_troubles.rs"]
mod lasting_troubles;
#[path = "journey/listening.rs"]
mod listening;
#[path = "journey/mail_client.rs"]
mod mail_client;
#[path = "journey/mailbox_drafts.rs"]
mod mailbox_drafts;
#[path = "journey/mailbox_house.rs"]
mod mailbox_house;
#[path = "journey/mailbox_returning.rs"]
mod mailbox_returning;
#[path = "journey/mailbox_rules.rs"]
mod mailbox_rules;
#[path = "journey/mailbox_views.rs"]
mod mailbox_views;
#[path = "journey/marking.rs"]
mod marking;
#[path = "journey/midflight.rs"]
mod midflight;
#[path = "journey/naive.rs"]
mod naive;
#[path = "journey/office.rs"]
mod office;
#[path = "journey/officers.rs"]
mod officers;
#[path = "journey/one_moment.rs"]
mod one_moment;
#[path = "journey/outside.rs"]
mod outside;
#[path = "journey/paging.rs"]
mod paging;
#[path = "journey/persons.rs"]
mod persons;
#[path = "journey/persons_house.rs"]
mod persons_house;
#[path = "journey/persons_making.rs"]
mod persons_making;
#[path = "journey/persons_once.rs"]
mod persons_once;
#[path = "journey/persons_profiles.rs"]
mod persons_profiles;
#[path = "journey/persons_release.rs"]
mod persons_release;
#[path = "journey/plain_extensions.rs"]
mod plain_extensions;
#[path = "journey/preserving.rs"]
mod preserving;
#[path = "journey/previews.rs"]
mod previews;
#[path = "journey/provider.rs"]
mod provider;
#[path = "journey/receipts.rs"]
mod receipts;
#[path = "journey/receipts_troubles.rs"]
mod receipts_troubles;
#[path = "journey/rehearsing.rs"]
mod rehearsing;
#[path = "journey/relaying.rs"]
mod relaying;
#[path = "journey/resync_client.rs"]
mod resync_client;
#[path = "journey/resyncing.rs"]
mod resyncing;
#[path = "journey/revoked.rs"]
mod revoked;
#[path = "journey/revoked_files.rs"]
mod revoked_files;
#[path = "journey/revoked_login.rs"]
mod revoked_login;
#[path = "journey/revoking.rs"]
mod revoking;
#[path = "journey/rights.rs"]
mod rights;
#[path = "journey/road.rs"]
mod road;
#[path = "journey/rule_subjects.rs"]
mod rule_subjects;
#[path = "journey/save_dates.rs"]
mod save_dates;
#[path = "journey/sealing.rs"]
mod sealing;
#[path = "journey/searching.rs"]
mod searching;
#[path = "journey/sharing.rs"]
mod sharing;
#[path = "journey/stamping.rs"]
mod stamping;
#[path = "journey/telling.rs"]
mod telling;
#[path = "journey/transfers.rs"]
mod transfers;
#[path = "journey/upper_units.rs"]
mod upper_units;
#[path = "journey/walked.rs"]
mod walked;
#[path = "journey/watched.rs"]
mod watched;
#[path = "journey/way.rs"]
mod way;
#[path = "journey/world.rs"]
mod world;
#[path = "journey/years.rs"]
mod years;
#[path = "journey/years_world.rs"]
mod years_world;
