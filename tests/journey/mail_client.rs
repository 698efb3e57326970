//! An office at its mail with independent clients (Python's imaplib and smtplib) over real TLS sockets: all mail in one list,
//! what matters, drafts, and the bin.

use super::doors::{Doors, doors, tls_pki};
use super::imap_client::{acceptor, listen};
use super::road::message;
use kepd::domain::audit::{AuditRoute, Matter};
use kepd::domain::item::ItemKind;
use kepd::id::{ItemId, TenantId};
use kepd::service::account::Principal;
use kepd::service::emptying::Emptying;
use kepd::service::mailbox::Handling;
use kepd::store::tables::{audit, items};
use std::time::Duration;

const ORNEKAS: &str = "ornekas@hs01.kep.test";
const ALICI: &str = "alici@hs02.kep.test";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Two mails that came in, one sent, one that waits for an approval; and the doors of all this.
struct Office {
    doors: Doors,
    imap: u16,
}

impl Office {
    async fn open() -> Self {
        let doors = doors().await;
        let (p, q) = (&doors.pair.hs01, &doors.pair.hs02);
        for subject in ["Gelen 1", "Gelen 2"] {
            let text = message(subject, ORNEKAS).replace("Ornek <ornekas@hs01", "Alici <alici@hs02");
            q.submit("alici@alici", &[ORNEKAS], &text).await.unwrap();
        }
        let sent = message("Duyuru", ALICI);
        p.submit("mudur@ornekas", &[ALICI], &sent).await.unwrap();
        let waits = message("Teklif 1", ALICI);
        p.submit("ayse@ornekas", &[ALICI], &waits).await.unwrap();
        doors.pair.work().await;
        let door = crate::crediting::imap_door(p);
        let imap = listen(door, acceptor(tls_pki()), true).await;
        Self { doors, imap }
    }

    async fn drive(&self, case: &'static str) {
        let ca = self.doors.pair.dir.path().join("tls-ca.pem");
        std::fs::write(&ca, &tls_pki().ca.certificate_pem).unwrap();
        let arguments = [
            self.imap.to_string(),
            self.doors.submission_tls.to_string(),
            ca.display().to_string(),
            case.to_owned(),
        ];
        crate::imap_client::run_client("mail_client.py", arguments.into()).await;
    }

    fn tenant(&self) -> TenantId {
        self.doors.pair.hs01.tenant("ornekas")
    }

    /// Subjects of what has come to the other side.
    fn arrived(&self) -> usize {
        let items = self.doors.pair.hs02.items("alici");
        items.iter().filter(|i| i.kind == ItemKind::Incoming).count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_mail_and_jobs_stand_in_one_list_and_are_opened_there() {
    Office::open().await.drive("all").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_matters_is_marked_by_flag_or_keyword_and_shown_in_one_mailbox() {
    Office::open().await.drive("important").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_is_listed_edited_cancelled_and_sent_by_every_way() {
    let office = Office::open().await;
    let before = office.arrived();
    office.drive("drafts").await;
    office.doors.pair.work().await;
    // The two that an officer sent; the two that wait have not left.
    assert_eq!(office.arrived(), before + 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_thrown_away_comes_back_and_only_what_may_go_goes_after_its_days() {
    let office = Office::open().await;
    office.drive("bin").await;
    let p = &office.doors.pair.hs01;
    let emptying = Emptying {
        db: p.db.clone(),
        clock: p.clock.clone(),
        bells: p.mailboxes.bells.clone(),
    };
    let in_bin = || -> Vec<ItemId> {
        let items = p.items("ornekas").into_iter();
        items
            .filter(|i| i.trashed.is_some() && !i.gone)
            .map(|i| i.id)
            .collect()
    };
    // A notice lies there, too: nothing of it is anybody's record.
    let (by, ayse) = (p.principal("mudur@ornekas"), p.principal("ayse@ornekas"));
    let notice = notice(&office, &ayse).await;
    let (which, how) = ([notice], Handling::Trash);
    let thrown = p.mailboxes.handle(&ayse, &which, how, AuditRoute::Kepctl);
    thrown.await.unwrap();
    assert_eq!(in_bin().len(), 4);
    p.clock.advance(DAY * 30 - Duration::from_secs(1));
    assert_eq!(emptying.run_due().await.unwrap(), 0);
    office.drive("taken-out").await;
    p.clock.advance(Duration::from_secs(1));
    let draft = p
        .items("ornekas")
        .into_iter()
        .find(|i| i.kind == ItemKind::Draft && i.trashed.is_some() && !i.gone);
    let draft = draft.unwrap();
    assert_eq!(emptying.run_due().await.unwrap(), 2);
    assert_eq!(emptying.run_due().await.unwrap(), 0);
    office.drive("month-later").await;
    // Gone for good: nobody brings it back, and what others might ask of the notice is on the audit record.
    let gone = items::item(&*p.db, office.tenant(), draft.id)
        .unwrap()
        .unwrap()
        .row
        .clone();
    assert_eq!((gone.gone, gone.trashed), (true, draft.trashed));
    p.clock.advance(Duration::from_secs(1));
    let (which, how) = ([draft.id], Handling::Restore);
    let restored = p.mailboxes.handle(&by, &which, how, AuditRoute::Kepctl);
    let refused = restored.await.unwrap_err().to_string();
    assert!(refused.contains("cannot be brought back"), "{refused}");
    let records = audit::latest(&*p.db, office.tenant(), 100).unwrap();
    let destroyed = records.iter().filter(|(_, record)| record.deed == "mail destroy");
    let about: Vec<&[Matter]> = destroyed.map(|(_, record)| &record.about[..]).collect();
    assert_eq!(about, [&[Matter::Item(notice)]]);
}

/// A word of the provider to whom no rule let send.
async fn notice(office: &Office, by: &Principal) -> ItemId {
    let p = &office.doors.pair.hs01;
    let text = message("Bilinmeyen", ALICI);
    p.submit("ayse@ornekas", &[ALICI], &text).await.unwrap();
    let notices = p.items("ornekas").into_iter();
    let mut own = notices.filter(|i| i.kind == ItemKind::Notice && i.author == Some(by.user));
    own.next_back().unwrap().id
}
