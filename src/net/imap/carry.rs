//! Carries out what the engine asks: one arm for each ask, one table from failures to response codes.

use super::mailbox_id::mailbox_id;
use super::recents::recent_from;
use super::status::counting;
use super::{Connection, Ended, row};
use crate::domain::item::IMPORTANT;
use crate::domain::selector::Mailbox;
use crate::id::{ItemId, ModSeq};
use crate::imap::ask::{
    Answer, Ask, Changes, Code, CopiedUid, FetchAsk, Member, Refusal, Selected, StoreAsk, Told,
};
use crate::imap::command::StoreHow;
use crate::imap::flag::{Flag, Flags};
use crate::imap::name::MailboxName;
use crate::service::account::Principal;
use crate::service::failure::{Failure, Kind};
use crate::service::mailbox::{DECISIONS, Done, Filed, MarkHow, Marks, News, Verb};
use crate::service::time_slice::TimeSlice;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// Characters of a client's name or version that are logged.
const CLIENT_TOLD_CHARS: usize = 64;

/// How long an answer goes on without looking whether its reader still may read, when nothing had to be written
/// meanwhile: some hundred rows.
const SEAT_HELD: Duration = Duration::from_millis(1);

/// Lines of an answer that are taken from the engine together: some fifty of flags.
const GATHERED_OCTETS: usize = 4096;

/// Flags by UID with their mod-sequence, as this connection set them.
pub(super) type Echo = HashMap<u32, (Flags, u64)>;

/// The one table from failures to what a client hears.
pub(super) fn refusal(failure: Failure) -> Refusal {
    log(&failure);
    match failure {
        Failure::Refused(refused) => {
            let code = match refused.kind {
                Kind::NoPermission | Kind::AccountClosed | Kind::NotYourAddress => Code::NoPerm,
                Kind::NotFound => Code::NonExistent,
                Kind::Exists => Code::AlreadyExists,
                Kind::TooLarge => Code::TooBig,
                Kind::TooMany => Code::Limit,
                // Credit is a resource of the account's quota root, as storage is (RFC 9208 4.3.1).
                Kind::OverQuota | Kind::NoCredit => Code::OverQuota,
                _ => Code::Cannot,
            };
            Refusal::new(code, refused.text)
        }
        Failure::Unavailable(_) => Refusal::new(Code::Unavailable, "not possible just now; try again later"),
        Failure::Broken(_) => Refusal::new(Code::ServerBug, "a fault of the server; it has been logged"),
    }
}

pub(super) fn log(failure: &Failure) {
    match failure {
        Failure::Refused(refused) => tracing::debug!(kind = ?refused.kind, text = refused.text, "refused"),
        Failure::Unavailable(why) => tracing::warn!(why, "mailbox door: unavailable"),
        Failure::Broken(why) => tracing::error!(why, "mailbox door: broken"),
    }
}

pub(super) fn refused(failure: Failure) -> Answer {
    Answer::Refused(refusal(failure))
}

pub(super) fn flags(marks: &Marks) -> Flags {
    let system = [
        (marks.seen, Flag::Seen),
        (marks.answered, Flag::Answered),
        (marks.flagged, Flag::Flagged),
        (marks.draft, Flag::Draft),
        (marks.deleted, Flag::Deleted),
    ];
    let mut flags = Flags::of_system(system);
    flags.extend(marks.keywords.iter().filter_map(|k| Flag::parse(k)));
    flags
}

pub(super) fn marks(flags: &Flags) -> Marks {
    let keyword = |flag: &Flag| match flag {
        Flag::Keyword(keyword) => Some(keyword.as_str().to_owned()),
        _ => None,
    };
    Marks {
        seen: flags.contains(&Flag::Seen),
        answered: flags.contains(&Flag::Answered),
        flagged: flags.contains(&Flag::Flagged),
        draft: flags.contains(&Flag::Draft),
        deleted: flags.contains(&Flag::Deleted),
        keywords: flags.iter().filter_map(keyword).collect(),
    }
}

pub(super) fn pairs(members: &[Member]) -> Vec<(u32, ItemId)> {
    members.iter().map(|m| (m.uid, ItemId(m.key))).collect()
}

fn member((uid, item): (u32, ItemId)) -> Member {
    Member { uid, key: item.0 }
}

impl Connection<'_> {
    /// `None`: no answer is wanted.
    pub(super) async fn carry_out(&mut self, ask: Ask) -> Result<Option<Answer>, Ended> {
        let by = match self.by.clone() {
            Some(by) => by,
            None => return self.before_login(ask).await.map(Some),
        };
        if let Err(failure) = self.may_stay() {
            return Ok(Some(refused(failure)));
        }
        if self.session.selected().is_none() {
            self.opened = None;
        }
        let answer = match ask {
            Ask::AppendChunk(octets) => {
                self.append_chunk(&octets).await;
                return Ok(None);
            }
            Ask::ClientId(fields) => {
                log_client(&fields);
                return Ok(Some(Answer::Done));
            }
            Ask::Compress => return self.compress().await.map(|()| Some(Answer::Done)),
            Ask::Fetch(ask) => unless_ended(self.fetch(&by, &ask).await)?,
            ask @ (Ask::Search { .. } | Ask::Sort { .. } | Ask::Thread { .. }) => {
                unless_ended(self.query(&by, ask).await)?
            }
            Ask::Copy { members, mailbox } => {
                unless_ended(self.file(&by, &members, &mailbox, Verb::Copy).await)?
            }
            Ask::Move { members, mailbox } => {
                unless_ended(self.file(&by, &members, &mailbox, Verb::Move).await)?
            }
            other => self.about_mailboxes(&by, other).await,
        };
        Ok(Some(answer.unwrap_or_else(refused)))
    }

    async fn before_login(&mut self, ask: Ask) -> Result<Answer, Ended> {
        Ok(match ask {
            Ask::ClientId(fields) => {
                log_client(&fields);
                Answer::Done
            }
            Ask::StartTls => match self.start_tls().await? {
                true => Answer::Done,
                false => Answer::Refused(Refusal::plain("TLS is not offered")),
            },
            Ask::Login { login, password } => self.login(&login, &password).await,
            Ask::AuthenticateStart { mechanism, initial } => {
                self.authenticate_start(&mechanism, initial.as_ref()).await
            }
            Ask::AuthenticateResponse(response) => self.authenticate_response(&response).await,
            _ => refused(Failure::Broken("asked before login".into())),
        })
    }

    async fn about_mailboxes(&mut self, by: &Principal, ask: Ask) -> Result<Answer, Failure> {
        let mailboxes = self.door.mailboxes.clone();
        match ask {
            Ask::List(ask) => self.list(by, &ask).await,
            Ask::Select { mailbox, read_only } => self.select(by, &mailbox, read_only).await,
            Ask::Status { mailbox, items } => {
                let which = mailboxes.resolve(by, mailbox.as_str())?;
                let status = mailboxes.status(by, which, counting(items)).await?;
                Ok(Answer::Status(
                    self.door.status_of(by, which, items, &status).await?,
                ))
            }
            Ask::Create { special_use, .. } if !special_use.is_empty() => {
                let say = "special uses belong to the mailboxes that are there";
                Err(Failure::refused(Kind::Invalid, say))
            }
            Ask::Create { mailbox, .. } => {
                mailboxes.create(by, mailbox.as_str()).await?;
                let made = mailboxes.resolve(by, mailbox.as_str())?;
                Ok(Answer::Created(mailbox_id(by, made)))
            }
            Ask::Delete(mailbox) => self.delete(by, &mailbox).await,
            Ask::Rename { from, to } => {
                mailboxes.rename(by, from.as_str(), to.as_str()).await?;
                Ok(Answer::Done)
            }
            Ask::Subscribe(mailbox) => self.subscribe(by, &mailbox, true).await,
            Ask::Unsubscribe(mailbox) => self.subscribe(by, &mailbox, false).await,
            Ask::Property(property) => self.property(by, property).await,
            Ask::Watch(set) => self.watch(by, set).await,
            Ask::Unauthenticate => {
                self.forget_user();
                Ok(Answer::Done)
            }
            Ask::AppendOpen(open) => self.append_open(by, open).await,
            Ask::AppendNext(next) => self.append_next(next).await,
            Ask::AppendEnd => self.append_end(by).await,
            Ask::AppendAbort => {
                self.appending = None;
                Ok(Answer::Done)
            }
            other => self.in_mailbox(by, other).await,
        }
    }

    async fn in_mailbox(&mut self, by: &Principal, ask: Ask) -> Result<Answer, Failure> {
        let mailboxes = self.door.mailboxes.clone();
        match ask {
            Ask::Poll => Ok(Answer::Changed(self.news().await?)),
            Ask::Store(ask) => self.store(by, &ask).await,
            Ask::Expunge(among) => {
                let opened = self.opened.as_mut().ok_or_else(nothing_open)?;
                let among = among.map(|m| pairs(&m));
                let filed = mailboxes.expunge(by, opened, among.as_deref()).await?;
                self.apply_news().await?;
                Ok(Answer::Expunged {
                    uids: filed.pairs.iter().map(|(uid, _)| *uid).collect(),
                    refused: filed.refused.map(refusal),
                })
            }
            _ => Err(Failure::Broken("asked out of turn".into())),
        }
    }

    /// What is new in the open mailbox, without what this connection did itself.
    pub(super) async fn news(&mut self) -> Result<Changes, Failure> {
        let (Some(by), Some(opened)) = (&self.by, &mut self.opened) else {
            return Ok(Changes::default());
        };
        let news = self.door.mailboxes.poll(by, opened).await?;
        Ok(self.without_echo(news))
    }

    /// The engine's words for it, without what this connection did itself.
    pub(super) fn without_echo(&mut self, news: News) -> Changes {
        let (Some(by), Some(opened)) = (&self.by, &self.opened) else {
            return Changes::default();
        };
        let told = |(uid, marks, modseq): (u32, Marks, ModSeq)| Told {
            uid,
            flags: flags(&marks),
            modseq: modseq.0,
        };
        let mut changes = Changes {
            added: news.added.into_iter().map(member).collect(),
            removed: news.removed,
            flags: news.marks.into_iter().map(told).collect(),
            highest_modseq: opened.known_to().0,
            roster: Some(opened.roster().clone()),
            recent_from: None,
        };
        if !changes.added.is_empty() {
            changes.recent_from = recent_from(&self.door.recents, by, opened, self.read_only);
        }
        let echo = &self.echo;
        let is_echo = |told: &Told| {
            let own = echo.get(&told.uid);
            own.is_some_and(|(flags, modseq)| *flags == told.flags && told.modseq <= *modseq)
        };
        changes.flags.retain(|told| !is_echo(told));
        self.echo.clear();
        changes
    }

    /// Commands other than NOOP poll at their end, too.
    pub(super) async fn apply_news(&mut self) -> Result<(), Failure> {
        let changes = self.news().await?;
        self.session.mailbox_changed(changes);
        Ok(())
    }

    /// RFC 9051 6.3.4: a name that only holds others is not deleted, and the client hears that they are why.
    async fn delete(&mut self, by: &Principal, name: &MailboxName) -> Result<Answer, Failure> {
        let mailboxes = &self.door.mailboxes;
        if let Err(failure) = mailboxes.delete(by, name.as_str()).await {
            let mut listed = mailboxes.list(by)?.into_iter();
            let holds = listed.any(|l| l.mailbox.is_none() && l.name == name.as_str());
            let mut refusal = refusal(failure);
            if holds && refusal.code == Some(Code::Cannot) {
                refusal.code = Some(Code::HasChildren);
            }
            return Ok(Answer::Refused(refusal));
        }
        Ok(Answer::Done)
    }

    async fn select(
        &mut self,
        by: &Principal,
        name: &MailboxName,
        read_only: bool,
    ) -> Result<Answer, Failure> {
        self.opened = None;
        self.echo.clear();
        let mailboxes = &self.door.mailboxes;
        let mailbox = mailboxes.resolve(by, name.as_str())?;
        let opened = mailboxes.open(by, mailbox).await?;
        let seat = mailboxes.seat(by)?;
        let viewer = seat.viewer();
        let first_unseen = mailboxes.first_unseen(by, &opened).await?;
        let labels = seat.organisation.labels.values();
        let labels = labels.filter(|l| viewer.knows(l.id)).map(|l| l.keyword());
        let reports = crate::domain::item::Report::ALL.map(|r| r.keyword().to_owned());
        let decisions = DECISIONS.map(|(word, _)| word.to_owned());
        let settable = labels.chain(decisions).chain([IMPORTANT.to_owned()]);
        let settable: Vec<Flag> = settable.filter_map(|k| Flag::parse(&k)).collect();
        let mut keywords = settable.clone();
        keywords.extend(reports.iter().filter_map(|k| Flag::parse(k)));
        let system = ["\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted"];
        let mut permanent: Vec<Flag> = system.iter().filter_map(|f| Flag::parse(f)).collect();
        permanent.extend(settable);
        let selected = Selected {
            read_only: false,
            uid_validity: opened.uid_validity,
            uid_next: opened.uid_next,
            members: opened.roster().clone(),
            highest_modseq: opened.known_to().0,
            keywords,
            permanent,
            new_keywords: true,
            first_unseen,
            recent_from: recent_from(&self.door.recents, by, &opened, read_only),
            mailbox_id: Some(mailbox_id(by, mailbox)),
        };
        self.read_only = read_only;
        self.opened = Some(opened);
        Ok(Answer::Selected(Box::new(selected)))
    }

    /// RFC 9051 6.3.12 and 6.4.7: TRYCREATE, unless it is certain that the mailbox cannot be made.
    pub(super) fn not_there(
        &self,
        by: &Principal,
        name: &MailboxName,
        text: String,
    ) -> Result<Answer, Failure> {
        let view = self.door.mailboxes.is_view_name(by, name.as_str())?;
        let code = if view { Code::NonExistent } else { Code::TryCreate };
        Ok(Answer::Refused(Refusal::new(code, text)))
    }

    async fn store(&mut self, by: &Principal, ask: &StoreAsk) -> Result<Answer, Failure> {
        let how = match ask.how {
            StoreHow::Replace => MarkHow::Replace,
            StoreHow::Add => MarkHow::Add,
            StoreHow::Remove => MarkHow::Remove,
        };
        let (mailboxes, wanted) = (&self.door.mailboxes, marks(&ask.flags));
        let (which, since) = (pairs(&ask.members), ask.unchanged_since.map(ModSeq));
        let opened = self.opened.as_ref();
        let marked = mailboxes.mark_in(by, opened, &which, how, &wanted, since).await?;
        // What others did to it before is told by a line of its own, which an answer in silence is not.
        let known_to = opened.map_or(ModSeq(0), |opened| opened.known_to());
        let heard = |done: &&Done| !ask.silent || done.read_at <= known_to;
        let told = |done: &Done| Told {
            uid: done.uid,
            flags: flags(&done.marks),
            modseq: done.changed_at.0,
        };
        // His own flags are no news to who was answered; what all see of it is told to all, and so has its echo.
        let echo = marked
            .done
            .iter()
            .filter(|done| done.of_all)
            .filter(heard)
            .map(told);
        self.echo
            .extend(echo.map(|told| (told.uid, (told.flags, told.modseq))));
        if let Some(opened) = &mut self.opened {
            let heard = marked.done.iter().filter(heard);
            opened.answered(heard.map(|done| (done.item, done.changed_at)));
            // What he did not hear had been changed by somebody else, whose commit is none of these.
            opened.answered_whole(marked.his_alone);
        }
        let mut rows: Vec<Told> = marked.done.iter().map(told).collect();
        match self.news().await {
            Ok(changes) => {
                as_it_is_now(&mut rows, &changes);
                self.session.mailbox_changed(changes);
            }
            Err(why) => {
                // The client hears NO and none of these lines: they are news to it.
                self.echo.clear();
                if let Some(opened) = &mut self.opened {
                    opened.unanswered();
                }
                return Err(why);
            }
        }
        Ok(Answer::Stored {
            rows,
            modified: marked.changed_since,
            refused: marked.refused.map(refusal),
        })
    }

    async fn file(
        &mut self,
        by: &Principal,
        members: &[Member],
        name: &MailboxName,
        verb: Verb,
    ) -> Result<Answer, Stop> {
        let mailboxes = self.door.mailboxes.clone();
        let to: Mailbox = match mailboxes.resolve(by, name.as_str()) {
            Err(Failure::Refused(refused)) if refused.kind == Kind::NotFound => {
                return Ok(self.not_there(by, name, refused.text)?);
            }
            other => other?,
        };
        // Taken out, so that the client can be told meanwhile that it goes on.
        let mut opened = self.opened.take().ok_or_else(nothing_open)?;
        let members = pairs(members);
        let filing = mailboxes.file(by, &mut opened, &members, to, verb);
        let filed = self.meanwhile(filing).await;
        self.opened = Some(opened);
        let filed: Filed = filed??;
        self.apply_news().await?;
        let copied = |(from, to): &(u32, u32)| CopiedUid { from: *from, to: *to };
        Ok(Answer::Copied {
            uid_validity: filed.uid_validity,
            pairs: filed.pairs.iter().map(copied).collect(),
            refused: filed.refused.map(refusal),
        })
    }

    async fn fetch(&mut self, by: &Principal, ask: &FetchAsk) -> Result<Answer, Stop> {
        let mailboxes = self.door.mailboxes.clone();
        let wanted = row::Wanted::of(ask);
        if wanted.previews() {
            // RFC 8970 8: who lets many be made is to be found.
            tracing::info!(login = %by.login, messages = ask.members.len(), "previews");
        }
        let opened = self.opened.clone().ok_or_else(nothing_open)?;
        let narrowed;
        let members = match &ask.since {
            Some(since) => {
                narrowed = self.narrowed(by, &opened, &ask.members, since).await?;
                &narrowed
            }
            None => &ask.members,
        };
        let mut undecoded = false;
        let mut slice = TimeSlice::begin();
        let mut seat = mailboxes.seat(by)?;
        let mut reader = mailboxes.mark_reader(by, opened.known_to());
        let mut seated = (self.writes, Instant::now());
        for member in members {
            // Rights may be lost in the middle of a long answer, and a client may take its time to read it.
            if seated.0 != self.writes || seated.1.elapsed() >= SEAT_HELD {
                seat = mailboxes.seat(by)?;
                reader = mailboxes.mark_reader(by, opened.known_to());
                seated = (self.writes, Instant::now());
            }
            let viewer = seat.viewer();
            let sight = (&viewer, &mut reader);
            let made = row::make(&mailboxes, by, sight, &opened, *member, ask, &wanted).await?;
            undecoded |= matches!(made, row::Made::Undecodable);
            if let row::Made::Row(row, fresh, sheet) = made {
                self.at_hand = sheet.map(|sheet| (member.key, sheet));
                if let Some(flags) = row.flags.as_ref().filter(|_| fresh) {
                    let modseq = row.modseq.unwrap_or(0);
                    self.echo.insert(member.uid, (flags.clone(), modseq));
                    if let Some(opened) = &mut self.opened {
                        opened.answered([(ItemId(member.key), ModSeq(modseq))]);
                    }
                }
                self.session.fetched(*row);
                // Contents are those of the message at hand; lines alone may wait for each other.
                if self.at_hand.is_some() || self.session.output_octets() >= GATHERED_OCTETS {
                    self.gather().await?;
                }
            }
            slice.share().await;
        }
        self.gather().await?;
        self.at_hand = None;
        self.apply_news().await?;
        if undecoded {
            // RFC 3516 4.3: the rest was answered; of these the client asks BODY instead.
            let say = "a part has a transfer encoding that is not known here; ask for BODY instead of BINARY";
            return Ok(Answer::Refused(Refusal::new(Code::UnknownCte, say)));
        }
        Ok(Answer::Done)
    }
}

/// A message is shown in the answer to a STORE as it was read before the commit, under the number of the commit. What
/// somebody else changed of it between the two is told with a number that is no higher, and would be taken for known.
fn as_it_is_now(rows: &mut [Told], changes: &Changes) {
    if changes.flags.is_empty() {
        return;
    }
    let now: HashMap<u32, &Told> = changes.flags.iter().map(|told| (told.uid, told)).collect();
    for row in rows {
        if let Some(told) = now.get(&row.uid).filter(|told| told.modseq >= row.modseq) {
            row.clone_from(told);
        }
    }
}

/// Why a FETCH stops.
pub(super) enum Stop {
    Failed(Failure),
    Ended(Ended),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failed(failure)
    }
}

impl From<Ended> for Stop {
    fn from(ended: Ended) -> Self {
        Stop::Ended(ended)
    }
}

/// A connection that has ended has nobody to be answered.
fn unless_ended(answer: Result<Answer, Stop>) -> Result<Result<Answer, Failure>, Ended> {
    match answer {
        Ok(answer) => Ok(Ok(answer)),
        Err(Stop::Failed(failure)) => Ok(Err(failure)),
        Err(Stop::Ended(ended)) => Err(ended),
    }
}

pub(super) fn nothing_open() -> Failure {
    Failure::Broken("no mailbox is open".into())
}

/// What a client says of itself helps to understand its complaints: its name and version, cut short.
fn log_client(fields: &[(String, Option<String>)]) {
    let told = |wanted: &str| {
        let field = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        let value = field.and_then(|(_, value)| value.as_deref()).unwrap_or_default();
        value
            .chars()
            .filter(|c| !c.is_control())
            .take(CLIENT_TOLD_CHARS)
            .collect::<String>()
    };
    tracing::info!(name = told("name"), version = told("version"), "client");
}
