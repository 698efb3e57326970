//! The words of a status message: what happened to a job, who did it, when and why, and what can be done now.
//!
//! Nothing of the mail itself is quoted but its subject. What people wrote - subjects, names, notes - cannot break out of
//! its line: control characters and those that turn the direction of text are taken out.

use super::{Both, Text, both, local_time, page};
use crate::clock::UtcTime;
use crate::domain::item::JobFacet;
use crate::domain::job::{Act, Call, Deed, Entry, Job, JobState};
use crate::domain::org::{Organisation, User};
use crate::domain::rule::Direction;
use crate::domain::selector::Mailbox;
use crate::domain::signature::SignatureDemand;

/// An entry of a job's history to be told, with the job as it stood right after it.
#[derive(Debug)]
pub struct JobStatus<'a> {
    pub org: &'a Organisation,
    pub job: &'a Job,
    pub entry: &'a Entry,
    /// When the job becomes late.
    pub due: Option<UtcTime>,
    /// Until when the message can be answered.
    pub answer_until: UtcTime,
}

impl JobStatus<'_> {
    /// `Re: [state] subject`. RFC 5256 2.1: what stands between brackets is no part of the base subject, so mail readers
    /// that go by subjects keep the thread together as well.
    pub fn subject(&self) -> String {
        let news = match self.entry.happening.deed {
            Deed::Noted => "Not".to_owned(),
            Deed::Reminded => "Hatırlatma".to_owned(),
            Deed::BecameLate => "Gecikti".to_owned(),
            Deed::Escalated => "Üst onaya açıldı".to_owned(),
            Deed::Stuck => "Karar verecek kimse yok".to_owned(),
            Deed::Decided(Act::Delegate(_)) => "Havale edildi".to_owned(),
            Deed::Decided(Act::Reassign(_)) => "Başkasına verildi".to_owned(),
            Deed::Decided(Act::Undo) => "Karar geri alındı".to_owned(),
            _ => self.state().tr,
        };
        format!("Re: [{news}] {}", line(&self.job.subject))
    }

    /// What all are told alike, written down once for however many.
    pub fn words(&self) -> Words<'_> {
        let state = self.state();
        let mut lines = vec![self.what()];
        lines.extend(self.circumstances());
        lines.extend(self.note());
        lines.extend(self.waiting());
        Words {
            status: self,
            title: both(
                format!("Onay işi: {}", state.tr),
                format!("Approval job: {}", state.en),
            ),
            lines,
        }
    }

    fn state(&self) -> Both {
        let steps = self.job.steps.len();
        match self.job.standing.state {
            JobState::Waiting(n) => both(
                format!("Onay bekliyor {}/{steps}", n + 1),
                format!("waiting for approval {}/{steps}", n + 1),
            ),
            JobState::Returned => both("İade edildi", "given back for changes"),
            JobState::Ready => both("Gönderime hazır", "ready to send"),
            JobState::Leaving(_) => both("Gönderilmek üzere", "about to leave"),
            JobState::Released => both("Gönderime verildi", "released for sending"),
            JobState::Approved => both("Onaylandı", "approved"),
            JobState::Rejected => both("Reddedildi", "rejected"),
            JobState::Withdrawn => both("Geri çekildi", "withdrawn"),
            JobState::Cancelled => both("İptal edildi", "cancelled"),
            JobState::Expired => both("Süresi doldu", "expired"),
            JobState::Resubmitted => both("Yeniden sunuldu", "handed in anew"),
        }
    }

    /// What happened, in one sentence.
    fn what(&self) -> Both {
        let rule = line(&self.job.rule_name);
        match self.entry.happening.deed {
            Deed::Started => both(
                format!("İleti \"{rule}\" kuralı gereği onaya sunuldu."),
                format!("The mail was submitted for approval under the rule \"{rule}\"."),
            ),
            Deed::Decided(act) => self.decided(act),
            Deed::Noted => both("İşe not bırakıldı.", "A note was left with the job."),
            Deed::Reminded => both(
                "Hatırlatma: bu iş hâlâ kararınızı bekliyor.",
                "A reminder: this job still waits for your decision.",
            ),
            Deed::BecameLate => both(
                "İş gecikti: süresi içinde karar verilmedi. Hâlâ karar verilebilir.",
                "The job is late: it was not decided in time. It can still be decided.",
            ),
            Deed::Escalated => both(
                "Süresinde karar verilmediğinden adım üst onay makamına da açıldı.",
                "The step was not decided in time; those it is escalated to may decide it as well.",
            ),
            Deed::Stuck => both(
                "Bu adımda karar verebilecek kimse kalmadı.",
                "Nobody is left who could decide this step.",
            ),
            Deed::Expired => self.ended(
                "Süresi içinde karar verilmediğinden iş sona erdi",
                "Nobody decided in time; the job has ended",
            ),
            Deed::Left => both(
                "Bekleme süresi doldu, ileti gönderime verildi.",
                "The time it was held back has passed; the mail is being sent.",
            ),
            Deed::HandedInAnew => both(
                "İade edilen ileti yeniden sunuldu; bu iş sona erdi, yenisi başladı.",
                "The mail that was given back was handed in anew; this job has ended and a new one has begun.",
            ),
        }
    }

    fn decided(&self, act: Act) -> Both {
        match act {
            Act::Approve => both("Adım onaylandı.", "The step was approved."),
            Act::Reject => self.ended("İleti reddedildi", "The mail was rejected"),
            Act::Return => both(
                "İleti düzeltilmek üzere yazarına iade edildi.",
                "The mail was given back to its author for changes.",
            ),
            Act::Release => both("İleti gönderime verildi.", "The mail was released for sending."),
            Act::Withdraw => both(
                "Yazarı iletiyi geri çekti; gönderilmeyecek.",
                "Its author withdrew the mail; it will not be sent.",
            ),
            Act::Cancel => self.ended("İş iptal edildi", "The job was cancelled"),
            Act::Delegate(to) => {
                let user = self.org.users.get(&to);
                let to = user.map_or_else(|| "?".to_owned(), |u| named(&u.display_name, &u.name));
                both(
                    format!("Bu adımın kararı havale edildi: {to}."),
                    format!("The decision on this step was handed on to {to}."),
                )
            }
            Act::Reassign(who) => {
                let to = line(&self.org.who(who));
                both(
                    format!("Adım başkasına verildi: {to}."),
                    format!("The step was given to {to}."),
                )
            }
            Act::Undo => both("Son karar geri alındı.", "The last decision was taken back."),
        }
    }

    /// How a job ended that was not approved, and what that means for its mail.
    fn ended(&self, tr: &str, en: &str) -> Both {
        match self.job.direction {
            Direction::Outgoing => both(
                format!("{tr}; ileti gönderilmeyecek."),
                format!("{en}; the mail will not be sent."),
            ),
            // The decision is the institution's own: whoever wrote the mail hears of it only by a declaration.
            Direction::Incoming => both(
                format!("{tr}; gelen ileti posta kutusunda kalır, gönderenine bildirim gitmez."),
                format!("{en}; the mail that came in stays in the mailbox, and its sender is told nothing."),
            ),
        }
    }

    /// Of what, who, when, as what.
    fn circumstances(&self) -> Vec<Both> {
        let happening = &self.entry.happening;
        let subject = line(&self.job.subject);
        let mut lines = vec![both(format!("Konu: {subject}"), format!("Subject: {subject}"))];
        if let Some(author) = self.job.author.and_then(|a| self.org.users.get(&a)) {
            let author = named(&author.display_name, &author.name);
            lines.push(both(format!("Yazan: {author}"), format!("Author: {author}")));
        }
        if let Some(actor) = happening.actor {
            let display = self.org.users.get(&actor).map(|u| u.display_name.as_str());
            let actor = named(display.unwrap_or_default(), &happening.actor_login);
            lines.push(match &happening.in_name_of {
                Some(other) => both(
                    format!("Kim: {actor}, {} adına", line(other)),
                    format!("Who: {actor}, in the name of {}", line(other)),
                ),
                None => both(format!("Kim: {actor}"), format!("Who: {actor}")),
            });
        }
        let at = local_time(happening.at);
        lines.push(both(format!("Zaman: {at}"), format!("When: {at} (UTC+3)")));
        if let Some(step) = happening.step {
            let role = happening.role.as_deref().map(line);
            let role = role.map(|r| format!(" ({r})")).unwrap_or_default();
            let steps = self.job.steps.len();
            lines.push(both(
                format!("Adım: {step}/{steps}{role}"),
                format!("Step: {step}/{steps}{role}"),
            ));
        }
        lines
    }

    /// Why: the words that were left with it, line by line, marked so that they cannot pass for ours.
    fn note(&self) -> Vec<Both> {
        let note = self.entry.happening.note.trim();
        if note.is_empty() {
            return Vec::new();
        }
        let mut lines = vec![both("Açıklama:", "Note:")];
        lines.extend(note.lines().map(|said| {
            let said = format!("| {}", line(said));
            both(said.clone(), said)
        }));
        lines
    }

    /// For whom it waits, and until when.
    fn waiting(&self) -> Vec<Both> {
        if !matches!(self.job.standing.state, JobState::Waiting(_)) {
            return Vec::new();
        }
        let facet: JobFacet = self.job.facet(self.org);
        let parties: Vec<String> = facet.open.iter().map(|o| line(&self.org.who(o.who))).collect();
        let parties = parties.join(", ");
        let mut lines = vec![both(
            format!("Karar bekleyen: {parties}"),
            format!("It waits for: {parties}"),
        )];
        if let Some(due) = self.due {
            let due = local_time(due);
            lines.push(both(
                format!("Son karar zamanı: {due}"),
                format!("To be decided by: {due} (UTC+3)"),
            ));
        }
        lines
    }

    fn answering(&self) -> Both {
        let until = local_time(self.answer_until);
        both(
            format!(
                "İşe not bırakmak için bu iletiyi {until} tarihine kadar bir kez yanıtlayabilirsiniz; alıntılar nota girmez."
            ),
            format!(
                "To leave a note with the job you can answer this message once, until {until} (UTC+3); quoted lines are \
                 left out."
            ),
        )
    }
}

/// The words of a status message that all who are told share, and what is said to each.
#[derive(Debug)]
pub struct Words<'a> {
    status: &'a JobStatus<'a>,
    title: Both,
    lines: Vec<Both>,
}

impl Words<'_> {
    /// The text for a user of whom `call` is asked. Commands name him: an administrator types them in his name.
    pub fn text(&self, call: Call, user: Option<&User>) -> Text {
        let mut lines = self.lines.clone();
        let to = Address {
            status: self.status,
            user,
        };
        lines.extend(to.call(call));
        lines.push(self.status.answering());
        page(&self.title, &lines)
    }
}

/// Whom a status message speaks to.
struct Address<'a> {
    status: &'a JobStatus<'a>,
    user: Option<&'a User>,
}

impl Address<'_> {
    /// What he types to do so much with the job.
    fn command(&self, word: &str) -> String {
        let realm = &self.status.org.tenant.name;
        let login = match self.user {
            Some(user) => line(&format!("{}@{realm}", user.name)),
            None => format!("USER@{realm}"),
        };
        format!("kepctl job {word} {} --as {login}", self.status.job.id)
    }

    fn folder(&self, mailbox: Mailbox) -> String {
        mailbox.name(self.status.org).unwrap_or_default()
    }

    /// What the reader can do now.
    fn call(&self, call: Call) -> Option<Both> {
        let command = |word: &str| self.command(word);
        Some(match call {
            Call::Nothing => return None,
            Call::Decide => self.deciding(),
            Call::Release => self.releasing(),
            Call::Reassign => both(
                format!("Adımı başkasına verin: {} --to role:ROL", command("reassign")),
                format!("Give the step to others: {} --to role:NAME", command("reassign")),
            ),
            Call::Resume => {
                let drafts = self.folder(Mailbox::Drafts);
                both(
                    format!("İleti {drafts} klasöründe; düzeltip yeniden gönderebilirsiniz."),
                    format!("The mail lies in {drafts}; you can change it and hand it in anew."),
                )
            }
            Call::Withdraw => {
                let withdraw = self.way(Mailbox::Withdraw, "$KepGeriCek");
                let command = command("withdraw");
                both(
                    format!("Geri çekmek için: {withdraw}. Komutla: {command}"),
                    format!("To take it back: {withdraw}. By command: {command}"),
                )
            }
        })
    }

    /// The two ways of deciding in a mail reader.
    fn way(&self, mailbox: Mailbox, keyword: &str) -> String {
        format!("{} ({keyword})", self.folder(mailbox))
    }

    fn deciding(&self) -> Both {
        let (command, pending) = (self.command("approve"), self.folder(Mailbox::JobsPending));
        let approve = self.way(Mailbox::Approve, "$KepOnay");
        let reject = self.way(Mailbox::Reject, "$KepRet");
        let (mut back_tr, mut back_en) = (String::new(), String::new());
        if self.status.job.direction == Direction::Outgoing {
            let back = self.way(Mailbox::Return, "$KepIade");
            back_tr = format!(", iade: {back}");
            back_en = format!(", give back: {back}");
        }
        both(
            format!(
                "Sıra sizde. {pending} klasöründeki iletiyi taşıyın ya da anahtar sözcükle işaretleyin - onay: {approve}, \
                 ret: {reject}{back_tr}. Komutla: {command}"
            ),
            format!(
                "It is your turn. Move the mail in {pending}, or set the keyword - approve: {approve}, reject: \
                 {reject}{back_en}. By command: {command}"
            ),
        )
    }

    fn releasing(&self) -> Both {
        let (command, ready) = (self.command("release"), self.folder(Mailbox::JobsReady));
        if self.status.org.tenant.signature == SignatureDemand::Officer {
            let job = self.status.job.id;
            return both(
                format!(
                    "Bütün onaylar verildi. Bu hesabın iletileri imzalı çıkar: {ready} klasöründeki iletiyi posta programınızda \
                     değiştirmeden yeniden düzenleyip nitelikli sertifikanızla (NES) S/MIME olarak imzalayın ve gönderin. Programınız \
                     başlık eklemeye izin veriyorsa: X-KEP-Is: {job}"
                ),
                format!(
                    "All approvals are given. Mail of this account leaves signed: open the mail in {ready} in your mail reader to \
                     edit it as new, change nothing, sign it with your qualified certificate (S/MIME) and send it. Where your reader \
                     lets you add a header: X-KEP-Is: {job}"
                ),
            );
        }
        let release = self.way(Mailbox::Release, "$KepGonder");
        both(
            format!(
                "Bütün onaylar verildi. Göndermek için {ready} klasöründeki iletiyi taşıyın ya da işaretleyin: {release}. \
                 Komutla: {command}"
            ),
            format!(
                "All approvals are given. To send it, move the mail in {ready} or mark it: {release}. By command: \
                 {command}"
            ),
        )
    }
}

/// Display name and login; the login alone when there is no other name.
fn named(display: &str, login: &str) -> String {
    let display = line(display);
    if display.is_empty() || login.split('@').next() == Some(&display) {
        return line(login);
    }
    format!("{display} ({})", line(login))
}

/// Words of a person as one line of ours.
fn line(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let plain = |c: char| {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            ' '
        } else {
            c
        }
    };
    let clean: String = text.chars().filter(|c| !turns(*c)).map(plain).collect();
    clean.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::{Happening, JobStart, Moved};
    use crate::domain::rule::{Step, Who};
    use crate::domain::samples::{organisation, rule, terms};
    use crate::id::{ItemId, JobId, MailId, TenantId, UserId};
    use std::collections::HashSet;

    fn started(org: &Organisation, subject: &str) -> Moved {
        let rule = rule(vec![Step::of(Who::User(UserId(1)), 2)]);
        let start = JobStart {
            id: JobId::from_octets([1; 16]),
            tenant: TenantId(1),
            mail: MailId::from_octets([1; 16]),
            item: ItemId(1),
            author: Some(UserId(2)),
            rule: &rule,
            original_sha256: [7; 32],
            subject: subject.into(),
            thread: "<1@hs01.kep.test>".into(),
            follows: None,
            at: UtcTime::from_unix_s(1_795_466_705),
        };
        Job::start(start, org, &terms())
    }

    fn entry(moved: &Moved, deed: Deed, note: &str) -> Entry {
        Entry {
            happening: Happening {
                actor: Some(UserId(1)),
                actor_login: "u1@t".into(),
                in_name_of: Some("u2@t".into()),
                step: Some(1),
                role: Some("Onay <Rolü>".into()),
                note: note.into(),
                ..Happening::by_itself(deed, moved.entries[0].happening.at)
            },
            ..moved.entries[0].clone()
        }
    }

    #[test]
    fn where_mail_leaves_signed_an_officer_is_told_how() {
        let mut org = organisation();
        let moved = started(&org, "Teklif");
        let entry = entry(&moved, Deed::Decided(Act::Approve), "");
        let plain = said(&org, &moved, &entry, Call::Release).1.plain;
        assert!(
            plain.contains("kepctl job release") && !plain.contains("X-KEP-Is"),
            "{plain}"
        );
        org.tenant.signature = SignatureDemand::Officer;
        let plain = said(&org, &moved, &entry, Call::Release).1.plain;
        let header = format!("X-KEP-Is: {}", moved.job.id);
        assert_eq!(plain.matches(&header).count(), 2, "{plain}");
        assert!(!plain.contains("kepctl job release"), "{plain}");
    }

    fn said(org: &Organisation, moved: &Moved, entry: &Entry, call: Call) -> (String, Text) {
        let status = JobStatus {
            org,
            job: &moved.job,
            entry,
            due: moved.job.due(&terms()),
            answer_until: moved.job.started_at,
        };
        let reader = &org.users[&UserId(1)];
        (status.subject(), status.words().text(call, Some(reader)))
    }

    #[test]
    fn every_deed_has_its_own_words_in_both_languages() {
        let org = organisation();
        let moved = started(&org, "Teklif");
        let acts = [
            Act::Approve,
            Act::Reject,
            Act::Return,
            Act::Release,
            Act::Withdraw,
            Act::Cancel,
            Act::Delegate(UserId(2)),
            Act::Reassign(Who::User(UserId(2))),
            Act::Undo,
        ];
        let deeds = [
            Deed::Started,
            Deed::Noted,
            Deed::Reminded,
            Deed::BecameLate,
            Deed::Escalated,
            Deed::Stuck,
            Deed::Expired,
            Deed::Left,
            Deed::HandedInAnew,
        ];
        let all = deeds.into_iter().chain(acts.map(Deed::Decided));
        let mut seen = HashSet::new();
        for deed in all {
            let entry = entry(&moved, deed.clone(), "");
            let status = JobStatus {
                org: &org,
                job: &moved.job,
                entry: &entry,
                due: None,
                answer_until: moved.job.started_at,
            };
            let what = status.what();
            assert_ne!(what.tr, what.en);
            assert!(seen.insert(what.tr.clone()), "{deed:?} has the words of another");
            let text = status.words().text(Call::Nothing, None);
            assert!(text.plain.contains(&what.tr) && text.plain.contains(&what.en));
        }
    }

    #[test]
    fn who_when_why_and_what_can_be_done() {
        let org = organisation();
        let moved = started(&org, "Fiyat");
        let entry = entry(
            &moved,
            Deed::Decided(Act::Approve),
            "fiyat eski\r\nKarar bekleyen: <b>ben</b>",
        );
        let (subject, text) = said(&org, &moved, &entry, Call::Decide);
        assert_eq!(subject, "Re: [Onay bekliyor 1/1] Fiyat");
        for wanted in [
            "Kim: u1@t, u2@t adına",
            "Who: u1@t, in the name of u2@t",
            "Zaman: 23.11.2026 23:45:05",
            "Adım: 1/1 (Onay <Rolü>)",
            "| fiyat eski\n| Karar bekleyen: <b>ben</b>\n",
            "Karar bekleyen: u1\n",
            "Son karar zamanı: 25.11.2026 23:45:05",
            "İşlerim/Onayla ($KepOnay)",
            "kepctl job approve 01010101-",
        ] {
            assert!(text.plain.contains(wanted), "{wanted}\n{}", text.plain);
        }
        assert!(!text.html.contains("<b>") && text.html.contains("&lt;b&gt;ben"));
        let others = said(&org, &moved, &entry, Call::Nothing).1;
        assert!(!others.plain.contains("$KepOnay"));
    }

    #[test]
    fn a_mail_that_came_in_is_not_said_to_be_sent_or_not() {
        let org = organisation();
        let mut moved = started(&org, "Gelen");
        for (direction, out) in [(Direction::Outgoing, true), (Direction::Incoming, false)] {
            moved.job.direction = direction;
            for deed in [
                Deed::Decided(Act::Reject),
                Deed::Decided(Act::Cancel),
                Deed::Expired,
            ] {
                let entry = entry(&moved, deed, "");
                let text = said(&org, &moved, &entry, Call::Nothing).1;
                for words in ["gönderilmeyecek", "will not be sent"] {
                    assert_eq!(text.plain.contains(words), out, "{}", text.plain);
                }
                for words in ["gelen ileti posta kutusunda kalır", "stays in the mailbox"] {
                    assert_eq!(text.plain.contains(words), !out, "{}", text.plain);
                }
            }
        }
    }

    #[test]
    fn every_command_names_its_user() {
        let org = organisation();
        let moved = started(&org, "Fiyat");
        let entry = entry(&moved, Deed::Started, "");
        for (call, word) in [
            (Call::Decide, Some("approve")),
            (Call::Release, Some("release")),
            (Call::Withdraw, Some("withdraw")),
            (Call::Reassign, Some("reassign")),
            (Call::Resume, None),
            (Call::Nothing, None),
        ] {
            let text = said(&org, &moved, &entry, call).1;
            let id = moved.job.id;
            let commands = text.plain.matches("kepctl").count();
            let right = word.map_or(0, |word| {
                let command = format!("kepctl job {word} {id} --as u1@t");
                text.plain.matches(&command).count()
            });
            assert_eq!(
                (commands, right),
                if word.is_some() { (2, 2) } else { (0, 0) },
                "{}",
                text.plain
            );
            assert_eq!(call.has_command(), word.is_some());
        }
    }

    #[test]
    fn what_people_wrote_stays_in_its_line() {
        let org = organisation();
        let moved = started(&org, "a\r\nBcc: x\u{202e}b\u{2066}\u{2028}c");
        let entry = entry(&moved, Deed::Noted, "x\u{202e}\u{b}y");
        let (subject, text) = said(&org, &moved, &entry, Call::Nothing);
        assert_eq!(subject, "Re: [Not] a  Bcc: xb c");
        assert!(text.plain.contains("| x y\n"));
        assert!(!text.plain.contains('\u{202e}'));
    }
}
