//! Carries out what the engine asks: one arm for each ask, one table from failures to response codes.

use super::{Connection, Ended, query, row};
use crate::domain::selector::Mailbox;
use crate::id::ItemId;
use crate::imap::ask::{
    Answer, AppendOpen, AppendUid, Ask, Changes, Code, CopiedUid, FetchAsk, Member, Refusal, Selected,
    Status, StoreAsk,
};
use crate::imap::command::StoreHow;
use crate::imap::flag::{Flag, Flags};
use crate::imap::name::MailboxName;
use crate::service::account::Principal;
use crate::service::failure::{Failure, Kind};
use crate::service::mailbox::{Appending, DECISIONS, Filed, MarkHow, Marks, News, Verb};
use std::collections::HashMap;

/// Messages whose flags are looked at to find the first unseen one; beyond, SELECT does not tell it.
const UNSEEN_LOOKED_AT_MAX: usize = 500;
/// Messages answered before other connections get their turn.
pub(super) const TURN: usize = 64;

/// Characters of a client's name or version that are logged.
const CLIENT_TOLD_CHARS: usize = 64;

/// Flags by UID, as this connection set them.
pub(super) type Echo = HashMap<u32, Flags>;

/// A message that is coming in.
pub(super) struct Arriving {
    appending: Appending,
    open: AppendOpen,
    /// What went wrong on the way; told at its end.
    failed: Option<Failure>,
}

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
                Kind::OverQuota => Code::OverQuota,
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
    let set = system.into_iter().filter(|(set, _)| *set).map(|(_, flag)| flag);
    set.chain(marks.keywords.iter().filter_map(|k| Flag::parse(k)))
        .collect()
}

fn marks(flags: &Flags) -> Marks {
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

fn pairs(members: &[Member]) -> Vec<(u32, ItemId)> {
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
            Ask::Fetch(ask) => match self.fetch(&by, &ask).await {
                Ok(answer) => Ok(answer),
                Err(Stop::Failed(failure)) => Err(failure),
                Err(Stop::Ended(ended)) => return Err(ended),
            },
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
            Ask::Select { mailbox, .. } => self.select(by, &mailbox).await,
            Ask::Status { mailbox, items } => {
                let which = mailboxes.resolve(by, mailbox.as_str())?;
                let flags = self.flags_for(by, items)?;
                let status = mailboxes.status(by, which, &flags, items.size).await?;
                Ok(Answer::Status(status_of(&status)))
            }
            Ask::Create { special_use, .. } if !special_use.is_empty() => {
                let say = "special uses belong to the mailboxes that are there";
                Err(Failure::refused(Kind::Invalid, say))
            }
            Ask::Create { mailbox, .. } => {
                mailboxes.create(by, mailbox.as_str()).await?;
                Ok(Answer::Done)
            }
            Ask::Delete(mailbox) => {
                mailboxes.delete(by, mailbox.as_str()).await?;
                Ok(Answer::Done)
            }
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
            Ask::Search(key) => {
                let opened = self.opened.as_ref().ok_or_else(nothing_open)?;
                let found = query::search(&mailboxes, by, opened, &key).await?;
                self.apply_news().await?;
                Ok(Answer::Found(found))
            }
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
            Ask::Copy { members, mailbox } => self.file(by, &members, &mailbox, Verb::Copy).await,
            Ask::Move { members, mailbox } => self.file(by, &members, &mailbox, Verb::Move).await,
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
        let told = |(uid, marks): (u32, Marks)| (uid, flags(&marks));
        let mut changes = Changes {
            added: news.added.into_iter().map(member).collect(),
            removed: news.removed,
            flags: news.marks.into_iter().map(told).collect(),
        };
        changes
            .flags
            .retain(|(uid, flags)| self.echo.get(uid) != Some(flags));
        self.echo.clear();
        changes
    }

    /// Commands other than NOOP poll at their end, too.
    async fn apply_news(&mut self) -> Result<(), Failure> {
        let changes = self.news().await?;
        self.session.mailbox_changed(changes);
        Ok(())
    }

    async fn select(&mut self, by: &Principal, name: &MailboxName) -> Result<Answer, Failure> {
        self.opened = None;
        self.echo.clear();
        let mailboxes = &self.door.mailboxes;
        let mailbox = mailboxes.resolve(by, name.as_str())?;
        let opened = mailboxes.open(by, mailbox).await?;
        let seat = mailboxes.seat(by)?;
        let viewer = seat.viewer();
        let mut first_unseen = None;
        for (uid, item) in opened.members().take(UNSEEN_LOOKED_AT_MAX) {
            if mailboxes
                .look(&viewer, item)?
                .is_some_and(|look| !look.marks.seen)
            {
                first_unseen = Some(uid);
                break;
            }
        }
        let labels = seat.organisation.labels.values();
        let labels = labels.filter(|l| viewer.knows(l.id)).map(|l| l.keyword());
        let reports = crate::domain::item::Report::ALL.map(|r| r.keyword().to_owned());
        let decisions = DECISIONS.map(|(word, _)| word.to_owned());
        let settable: Vec<Flag> = labels.chain(decisions).filter_map(|k| Flag::parse(&k)).collect();
        let mut keywords = settable.clone();
        keywords.extend(reports.iter().filter_map(|k| Flag::parse(k)));
        let system = ["\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted"];
        let mut permanent: Vec<Flag> = system.iter().filter_map(|f| Flag::parse(f)).collect();
        permanent.extend(settable);
        let selected = Selected {
            read_only: false,
            uid_validity: opened.uid_validity,
            uid_next: opened.uid_next,
            members: opened.members().map(member).collect(),
            keywords,
            permanent,
            new_keywords: true,
            first_unseen,
        };
        self.opened = Some(opened);
        Ok(Answer::Selected(Box::new(selected)))
    }

    async fn append_open(&mut self, by: &Principal, open: AppendOpen) -> Result<Answer, Failure> {
        let mailboxes = &self.door.mailboxes;
        let mailbox = match mailboxes.resolve(by, open.mailbox.as_str()) {
            Err(Failure::Refused(refused)) if refused.kind == Kind::NotFound => {
                return self.not_there(by, &open.mailbox, refused.text);
            }
            other => other?,
        };
        let mut appending = mailboxes.append(by, mailbox, open.size).await?;
        if let Some(old) = open.replaces {
            let from = self.opened.as_ref().ok_or_else(nothing_open)?.mailbox;
            appending = appending.replacing(from, ItemId(old.key))?;
        }
        self.appending = Some(Arriving {
            appending,
            open,
            failed: None,
        });
        Ok(Answer::Done)
    }

    /// RFC 9051 6.3.12 and 6.4.7: TRYCREATE, unless it is certain that the mailbox cannot be made.
    fn not_there(&self, by: &Principal, name: &MailboxName, text: String) -> Result<Answer, Failure> {
        let view = self.door.mailboxes.is_view_name(by, name.as_str())?;
        let code = if view { Code::NonExistent } else { Code::TryCreate };
        Ok(Answer::Refused(Refusal::new(code, text)))
    }

    async fn append_chunk(&mut self, octets: &[u8]) {
        if let Some(arriving) = &mut self.appending
            && arriving.failed.is_none()
            && let Err(failure) = arriving.appending.write(octets).await
        {
            arriving.failed = Some(failure);
        }
    }

    async fn append_end(&mut self, by: &Principal) -> Result<Answer, Failure> {
        let Some(arriving) = self.appending.take() else {
            return Err(Failure::Broken("no message is coming in".into()));
        };
        if let Some(failure) = arriving.failed {
            return Err(failure);
        }
        let marks = marks(&arriving.open.flags);
        let uid = arriving.appending.finish(&marks, arriving.open.date).await?;
        tracing::debug!(login = %by.login, "appended");
        // What was brought is there: that news cannot be told just now is no failure of this command.
        if let Err(failure) = self.told_replaced(by, arriving.open.replaces).await {
            log(&failure);
        }
        Ok(Answer::Appended(
            uid.map(|(uid_validity, uid)| AppendUid { uid_validity, uid }),
        ))
    }

    async fn told_replaced(&mut self, by: &Principal, old: Option<Member>) -> Result<(), Failure> {
        if let (Some(old), Some(opened)) = (old, &mut self.opened) {
            let mailboxes = &self.door.mailboxes;
            mailboxes.told_left(by, opened, &pairs(&[old])).await?;
        }
        self.apply_news().await
    }

    async fn store(&mut self, by: &Principal, ask: &StoreAsk) -> Result<Answer, Failure> {
        let how = match ask.how {
            StoreHow::Replace => MarkHow::Replace,
            StoreHow::Add => MarkHow::Add,
            StoreHow::Remove => MarkHow::Remove,
        };
        let uids: HashMap<ItemId, u32> = ask.members.iter().map(|m| (ItemId(m.key), m.uid)).collect();
        let which: Vec<ItemId> = ask.members.iter().map(|m| ItemId(m.key)).collect();
        let marked = self
            .door
            .mailboxes
            .mark(by, &which, how, &marks(&ask.flags))
            .await?;
        let row = |(item, marks): &(ItemId, Marks)| Some((*uids.get(item)?, flags(marks)));
        let rows: Vec<(u32, Flags)> = marked.done.iter().filter_map(row).collect();
        self.echo.extend(rows.iter().cloned());
        self.apply_news().await?;
        Ok(Answer::Stored {
            rows,
            refused: marked.refused.map(refusal),
        })
    }

    async fn file(
        &mut self,
        by: &Principal,
        members: &[Member],
        name: &MailboxName,
        verb: Verb,
    ) -> Result<Answer, Failure> {
        let mailboxes = self.door.mailboxes.clone();
        let to: Mailbox = match mailboxes.resolve(by, name.as_str()) {
            Err(Failure::Refused(refused)) if refused.kind == Kind::NotFound => {
                return self.not_there(by, name, refused.text);
            }
            other => other?,
        };
        let opened = self.opened.as_mut().ok_or_else(nothing_open)?;
        let filed: Filed = mailboxes.file(by, opened, &pairs(members), to, verb).await?;
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
        for members in ask.members.chunks(TURN) {
            for member in members {
                // Rights may be lost in the middle of a long answer.
                let seat = mailboxes.seat(by)?;
                let viewer = seat.viewer();
                let made = row::make(&mailboxes, by, &viewer, *member, ask, &wanted).await?;
                let Some((row, fresh)) = made else { continue };
                if let Some(flags) = row.flags.as_ref().filter(|_| fresh) {
                    self.echo.insert(member.uid, flags.clone());
                }
                self.session.fetched(row);
                self.gather().await?;
            }
            tokio::task::yield_now().await;
        }
        self.apply_news().await?;
        Ok(Answer::Done)
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

fn nothing_open() -> Failure {
    Failure::Broken("no mailbox is open".into())
}

pub(super) fn status_of(status: &crate::service::mailbox::Status) -> Status {
    Status {
        messages: status.messages,
        uid_next: status.uid_next,
        uid_validity: status.uid_validity,
        unseen: status.unseen,
        deleted: status.deleted,
        size: status.size_bytes,
        // RFC 9208 5.3.1: what an EXPUNGE gives back. Nothing that is kept here is ever taken away by one.
        deleted_storage: 0,
    }
}
