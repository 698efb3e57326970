//! A recipient accepts or refuses what has come in: by folder, by keyword and by the administrator's tool, between two
//! providers and inside one; who may, once, and in whatever order the evidence of it arrives.

use crate::forge::{Forge, about};
use crate::provider::{Provider, START};
use crate::road::{Pair, message, pair};
use crate::transfers::{ALICI, hand, sent, states};
use kepd::domain::audit::{AuditRoute, Matter};
use kepd::domain::evidence::{Event, EvidenceFacts, EvidenceKind, Extension, Reason};
use kepd::domain::item::{ItemKind, JobPhase, Report};
use kepd::domain::job::{Act, NOTE_MAX_OCTETS, Route};
use kepd::domain::mail::{Consignment, ConsignmentState, Declared, Mail, MailState, RecipientState};
use kepd::domain::org::{Permission, UserKind};
use kepd::domain::rule::{Comparison, Condition, Direction, Field};
use kepd::domain::selector::Mailbox;
use kepd::domain::tenant::TenantLife;
use kepd::id::{ItemId, MailId};
use kepd::rem::evidence_read;
use kepd::service::approval::DecisionAsked;
use kepd::service::declaring::DeclarationAsked;
use kepd::service::failure::{Failure, Kind};
use kepd::service::mailbox::{MarkHow, Marks, Verb};
use kepd::service::organisation::{NewStep, RuleWish};
use kepd::service::submission::Accepted;
use kepd::store::tables::work::{self, OwedEvidence};
use kepd::store::tables::{audit, evidence, mails};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

const VELI: &str = "veli@hs01.kep.test";
const KIND: EvidenceKind = EvidenceKind::AcceptanceRejectionByRecipient;
const DAY: Duration = Duration::from_secs(86_400);

/// The mail that came in last.
fn newest(p: &Provider, tenant: &str) -> (ItemId, MailId) {
    let mut items = p.items(tenant).into_iter();
    let item = items.rfind(|i| i.kind == ItemKind::Incoming).unwrap();
    (item.id, item.mail.unwrap())
}

fn consignment(p: &Provider, tenant: &str, mail: MailId) -> Consignment {
    let stored = mails::consignment(&*p.db, p.tenant(tenant), mail).unwrap();
    stored.unwrap().row
}

fn mail(p: &Provider, mail: MailId) -> Mail {
    mails::mail(&*p.db, p.tenant("ornekas"), mail)
        .unwrap()
        .unwrap()
        .row
}

fn reports(p: &Provider, tenant: &str, item: ItemId) -> BTreeSet<Report> {
    let mut items = p.items(tenant);
    items.retain(|i| i.id == item);
    items.remove(0).reports
}

async fn told(p: &Provider, tenant: &str, mail: MailId) -> Vec<EvidenceFacts> {
    let mut all = Vec::new();
    for row in evidence::of_mail(&*p.db, p.tenant(tenant), mail).unwrap() {
        if row.row.kind == KIND {
            let xml = p.spool.load(&row.row.xml).await.unwrap();
            all.push(evidence_read::read(&xml).unwrap().facts);
        }
    }
    all
}

fn asked(mail: MailId, declared: Declared, note: &str) -> DeclarationAsked<'_> {
    DeclarationAsked {
        mail,
        declared,
        route: Route::Kepctl,
        note,
        original_sha256: None,
    }
}

async fn declare(
    p: &Provider,
    login: &str,
    mail: MailId,
    declared: Declared,
) -> Result<Consignment, Failure> {
    p.declaring
        .declare(&p.principal(login), asked(mail, declared, ""))
        .await
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Failure>) -> (Kind, String) {
    match result {
        Err(Failure::Refused(refusal)) => (refusal.kind, refusal.text),
        other => panic!("{other:?}"),
    }
}

/// Sent inside hs01, and delivered to veli.
async fn inside(pair: &Pair, subject: &str) -> (MailId, MailId) {
    let sent = sent(&pair.hs01, &[VELI], subject).await;
    pair.work().await;
    (sent, newest(&pair.hs01, "veli").1)
}

async fn read(p: &Provider, login: &str, item: ItemId) {
    let tenant = login.rsplit_once('@').unwrap().1;
    let item = p.items(tenant).into_iter().find(|i| i.id == item).unwrap();
    let by = p.principal(login);
    p.mailboxes.hand_over(&by, &item).await.unwrap();
}

#[tokio::test]
async fn three_routes_lead_to_one_declaration_that_the_sender_hears() {
    let pair = pair().await;
    let (hs01, hs02) = (&pair.hs01, &pair.hs02);
    let by = hs02.principal("alici@alici");
    let cases = [
        (Route::Folder, Declared::Accepted, ""),
        (Route::Keyword, Declared::Refused, ""),
        (Route::Kepctl, Declared::Accepted, "Sözleşmeye esas alındı"),
        (Route::Kepctl, Declared::Refused, "Ek <eksik> & imzasız"),
        (Route::Folder, Declared::Refused, ""),
        (Route::Keyword, Declared::Accepted, ""),
    ];
    for (route, declared, note) in cases {
        let mail_id = sent(hs01, &[ALICI], &format!("{route:?} {declared:?}")).await;
        pair.work().await;
        let (item, here) = newest(hs02, "alici");
        match route {
            Route::Folder => {
                let name = match declared {
                    Declared::Accepted => "İşlerim/Kabul Et",
                    Declared::Refused => "İşlerim/Geri Çevir",
                };
                let to = hs02.mailboxes.resolve(&by, name).unwrap();
                let mut inbox = hs02.mailboxes.open(&by, Mailbox::Inbox).await.unwrap();
                let (uid, _) = inbox.members().find(|(_, i)| *i == item).unwrap();
                let which = [(uid, item)];
                let filed = hs02.mailboxes.file(&by, &mut inbox, &which, to, Verb::Move);
                assert_eq!(filed.await.unwrap().refused, None);
                // It decides and moves nothing away.
                let inbox = hs02.mailboxes.open(&by, Mailbox::Inbox).await.unwrap();
                assert!(inbox.members().any(|(_, i)| i == item));
            }
            Route::Keyword => {
                let keyword = match declared {
                    Declared::Accepted => "$KepKabul",
                    Declared::Refused => "$kepgericevir",
                };
                let marked = mark(hs02, item, MarkHow::Add, &[keyword]).await;
                assert_eq!(marked.refused, None);
                let shown = &marked.done[0].marks.keywords;
                let report = Report::from(declared).keyword();
                assert_eq!(shown, &BTreeSet::from([report.to_owned()]));
            }
            _ => {
                let declaring = hs02.declaring.declare(&by, asked(here, declared, note));
                declaring.await.unwrap();
            }
        }
        let kept = consignment(hs02, "alici", here);
        let declaration = kept.declaration.clone().unwrap();
        assert_eq!((declaration.declared, declaration.route), (declared, route));
        assert_eq!(
            (declaration.by_login.as_str(), declaration.note.as_str()),
            ("alici@alici", note)
        );
        assert_eq!(declaration.original_sha256, mail(hs01, mail_id).original_sha256);
        assert_eq!(kept.state, ConsignmentState::Delivered, "nothing was read by it");
        let record = audit::about(&*hs02.db, by.tenant, Matter::Item(item), 9).unwrap();
        let author_route = match route {
            Route::Kepctl => AuditRoute::Kepctl,
            _ => AuditRoute::Imap,
        };
        assert_eq!(record.len(), 1);
        assert_eq!(record[0].1.deed, format!("mail {}", declared.word()));
        assert_eq!(record[0].1.author, by.author(author_route));

        pair.work().await;
        let sent = mail(hs01, mail_id);
        assert_eq!(sent.recipients[0].declared, Some(declared));
        assert_eq!(sent.recipients[0].state, RecipientState::Consigned);
        assert_eq!(sent.state, MailState::Dispatched);
        let wanted = BTreeSet::from([Report::Delivered, declared.into()]);
        assert_eq!(reports(hs01, "ornekas", sent.item), wanted);
        let (there, here) = (
            told(hs01, "ornekas", mail_id).await,
            told(hs02, "alici", here).await,
        );
        assert_eq!((there.len(), &there), (1, &here));
        what_it_says(&there[0], declared, note);
    }
}

fn what_it_says(facts: &EvidenceFacts, declared: Declared, note: &str) {
    assert_eq!(facts.recipient().unwrap().address, ALICI);
    assert_eq!(facts.issuer.electronic_address, "kep@hs02.kep.test");
    let words = Some(note.to_owned()).filter(|n| !n.is_empty());
    match declared {
        Declared::Accepted => {
            assert_eq!((facts.event, facts.reasons.len()), (Event::Acceptance, 0));
            let text = facts.extensions.iter().find_map(|e| match e {
                Extension::Note { text, .. } => Some(text.clone()),
                _ => None,
            });
            assert_eq!(text, words);
        }
        Declared::Refused => {
            assert_eq!(facts.event, Event::Rejection);
            assert_eq!(facts.reasons.len(), 1);
            assert_eq!(facts.reasons[0].reason, Reason::RecipientRejection);
            assert_eq!(facts.reasons[0].reason.code(), 14);
            assert_eq!(facts.reasons[0].details, words);
        }
    }
}

async fn mark(p: &Provider, item: ItemId, how: MarkHow, keywords: &[&str]) -> kepd::service::mailbox::Marked {
    let tenant = if p.identity.domain.as_str() == "hs02.kep.test" {
        "alici@alici"
    } else {
        "mudur@ornekas"
    };
    let marks = Marks {
        keywords: keywords.iter().map(|k| (*k).to_owned()).collect(),
        ..Marks::default()
    };
    let by = p.principal(tenant);
    p.mailboxes.mark(&by, &[item], how, &marks).await.unwrap()
}

#[tokio::test]
async fn a_declaration_is_made_once_and_stands() {
    let pair = pair().await;
    pair.hs01.add_person("veli").await;
    let p = &pair.hs01;
    let (sent, here) = inside(&pair, "Bir").await;
    declare(p, "veli@veli", here, Declared::Accepted).await.unwrap();
    let before = consignment(p, "veli", here);
    pair.clock.advance(Duration::from_secs(60));
    for again in Declared::ALL {
        let (kind, say) = refusal(declare(p, "veli@veli", here, again).await);
        assert_eq!(kind, Kind::WrongState);
        let at = START.rfc3339();
        for word in ["accepted", "veli@veli", "kepctl", at.get(..16).unwrap()] {
            assert!(say.contains(word), "{say}");
        }
    }
    assert_eq!(consignment(p, "veli", here), before);
    pair.work().await;
    assert_eq!(told(p, "ornekas", sent).await.len(), 1);
    assert_eq!(told(p, "veli", here).await.len(), 1);
    // Two at the same moment give one, and one evidence.
    for round in 0..6 {
        let (sent, here) = inside(&pair, &format!("Aynı anda {round}")).await;
        let (one, other) = tokio::join!(
            declare(p, "veli@veli", here, Declared::Accepted),
            declare(p, "veli@veli", here, Declared::Refused)
        );
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        pair.work().await;
        let declared = consignment(p, "veli", here).declaration.unwrap().declared;
        assert_eq!(mail(p, sent).recipients[0].declared, Some(declared));
        assert_eq!(told(p, "ornekas", sent).await.len(), 1);
    }
}

#[tokio::test]
async fn it_speaks_for_the_account_so_not_everybody_may() {
    let pair = &pair().await;
    let p = &pair.hs01;
    let ornekas = p.tenant("ornekas");
    let organisations = || p.organisations.by(crate::provider::admin());
    let role = BTreeSet::from([Permission::Jobs, Permission::View]);
    organisations()
        .add_role(ornekas, "Evrak Rolü", "", role)
        .await
        .unwrap();
    p.add_user(ornekas, "evrak", UserKind::Limited, &["Satış"], &["Evrak Rolü"])
        .await;
    p.add_user(
        ornekas,
        "uzak",
        UserKind::Limited,
        &["Genel Müdürlük"],
        &["Evrak Rolü"],
    )
    .await;
    p.add_person("veli").await;
    let to = "ornekas@hs01.kep.test";
    let route = RuleWish {
        conditions: Some(vec![Condition {
            field: Field::Subject,
            comparison: Comparison::Contains,
            text: "Satış".into(),
        }]),
        units: Some(vec!["Satış".into()]),
        ..RuleWish::default()
    };
    organisations()
        .add_rule(ornekas, "Gelen", Direction::Incoming, &route)
        .await
        .unwrap();
    let send = |subject: &'static str| async move {
        let text = message(subject, to).replace("ornekas@hs01.kep.test>", "veli@hs01.kep.test>");
        let accepted = p.submit("veli@veli", &[to], &text).await;
        assert!(matches!(accepted, Ok(Accepted::Sent { .. })), "{accepted:?}");
        pair.work().await;
        newest(p, "ornekas")
    };
    let (_, unseen) = send("Genel").await;
    for login in ["evrak@ornekas", "ayse@ornekas"] {
        let (kind, say) = refusal(declare(p, login, unseen, Declared::Refused).await);
        assert_eq!(kind, Kind::NotFound, "{say}");
    }
    let (item, here) = send("Satış").await;
    // They see it and approve or write; neither is a right to speak for the account.
    for login in ["ayse@ornekas", "onay1@ornekas"] {
        let (kind, say) = refusal(declare(p, login, here, Declared::Accepted).await);
        assert_eq!(kind, Kind::NoPermission);
        assert!(say.contains("officer") && say.contains("\"jobs\""), "{say}");
        let by = p.principal(login);
        let listed = p.mailboxes.list(&by).unwrap();
        assert!(listed.iter().any(|l| l.name == "INBOX"));
        assert!(!listed.iter().any(|l| l.name == "İşlerim/Kabul Et"));
        let (kind, say) = refusal(p.mailboxes.resolve(&by, "İşlerim/Geri Çevir"));
        assert_eq!(kind, Kind::NoPermission);
        assert!(say.contains("\"jobs\""), "{say}");
    }
    // Another account's user finds nothing, whatever he may there.
    let (kind, _) = refusal(declare(p, "veli@veli", here, Declared::Accepted).await);
    assert_eq!(kind, Kind::NotFound);
    assert_eq!(consignment(p, "ornekas", here).declaration, None);
    assert!(reports(p, "ornekas", item).is_empty());
    let listed = p.mailboxes.list(&p.principal("evrak@ornekas")).unwrap();
    assert!(listed.iter().any(|l| l.name == "İşlerim/Kabul Et"));
    declare(p, "evrak@ornekas", here, Declared::Accepted)
        .await
        .unwrap();
    // An officer sees all.
    declare(p, "mudur@ornekas", unseen, Declared::Refused)
        .await
        .unwrap();
}

#[tokio::test]
async fn neither_accepting_nor_refusing_is_reading_and_no_clock_stops() {
    let pair = pair().await;
    pair.hs01.add_person("veli").await;
    let p = &pair.hs01;
    for declared in Declared::ALL {
        // Declared, and never opened: counts as read when the time is up, as if nothing had been said.
        let (sent, here) = inside(&pair, "Okunmayan").await;
        declare(p, "veli@veli", here, declared).await.unwrap();
        pair.work().await;
        assert_eq!(states(p, sent), [RecipientState::Consigned]);
        pair.clock.advance(DAY);
        pair.work().await;
        let kept = consignment(p, "veli", here);
        assert_eq!(kept.state, ConsignmentState::Expired);
        assert_eq!(kept.declaration.unwrap().declared, declared);
        let row = mail(p, sent);
        assert_eq!(
            (row.recipients[0].state, row.recipients[0].declared, row.state),
            (RecipientState::Expired, Some(declared), MailState::Concluded)
        );
        // Declared, and then opened: that is told as any reading.
        let (sent, here) = inside(&pair, "Okunan").await;
        declare(p, "veli@veli", here, declared).await.unwrap();
        read(p, "veli@veli", newest(p, "veli").0).await;
        pair.work().await;
        assert_eq!(consignment(p, "veli", here).state, ConsignmentState::Read);
        let row = mail(p, sent);
        assert_eq!(
            (row.recipients[0].state, row.recipients[0].declared, row.state),
            (RecipientState::Read, Some(declared), MailState::Concluded)
        );
    }
}

#[tokio::test]
async fn what_was_read_or_counts_as_read_can_still_be_declared() {
    let pair = pair().await;
    pair.hs01.add_person("veli").await;
    let p = &pair.hs01;
    for (read_first, state) in [(true, RecipientState::Read), (false, RecipientState::Expired)] {
        let (sent, here) = inside(&pair, "Sonradan").await;
        if read_first {
            read(p, "veli@veli", newest(p, "veli").0).await;
        }
        pair.clock.advance(DAY * 3);
        pair.work().await;
        assert_eq!(mail(p, sent).state, MailState::Concluded);
        declare(p, "veli@veli", here, Declared::Refused).await.unwrap();
        pair.work().await;
        let row = mail(p, sent);
        assert_eq!(
            (row.recipients[0].state, row.recipients[0].declared, row.state),
            (state, Some(Declared::Refused), MailState::Concluded)
        );
        assert!(reports(p, "ornekas", row.item).contains(&Report::RefusedByRecipient));
        assert!(!reports(p, "ornekas", row.item).contains(&Report::Refused));
        assert_eq!(told(p, "veli", here).await.len(), 1);
    }
}

/// Lets everything happen up to the delivery; the authority is away when its evidence is to be sealed.
async fn delivered_untold(pair: &Pair, p: &Provider, to: &str) -> MailId {
    let sent = sent(&pair.hs01, &[to], "Geciken delil").await;
    for _ in 0..4 {
        pair.hs01.notary.run_due().await.unwrap();
        pair.hs01.dispatch.run_due().await.unwrap();
        pair.hs01.relay.run_due().await.unwrap();
    }
    p.authority.away.store(true, Ordering::Relaxed);
    p.delivery.run_due().await.unwrap();
    for _ in 0..3 {
        p.notary.run_due().await.unwrap();
        pair.clock.advance(Duration::from_secs(1800));
    }
    p.notary.run_due().await.unwrap();
    p.authority.away.store(false, Ordering::Relaxed);
    sent
}

#[tokio::test]
async fn a_declaration_and_a_reading_may_overtake_the_delivery() {
    for to in [VELI, ALICI] {
        let pair = pair().await;
        pair.hs01.add_person("veli").await;
        let (p, name) = match to {
            VELI => (&pair.hs01, "veli"),
            _ => (&pair.hs02, "alici"),
        };
        let login = format!("{name}@{name}");
        let sent = delivered_untold(&pair, p, to).await;
        let (item, here) = newest(p, name);
        let waiting = work::all::<OwedEvidence>(&*p.db).unwrap();
        assert!(
            waiting
                .iter()
                .any(|(_, o)| o.row.facts.kind == EvidenceKind::DeliveryNonDeliveryToRecipient)
        );
        declare(p, &login, here, Declared::Accepted).await.unwrap();
        pair.work().await;
        let row = mail(&pair.hs01, sent);
        assert_eq!(row.recipients[0].declared, Some(Declared::Accepted), "{to}");
        assert!(
            !reports(&pair.hs01, "ornekas", row.item).contains(&Report::Delivered),
            "{to}: the delivery was to be overtaken"
        );
        read(p, &login, item).await;
        pair.work().await;
        let row = mail(&pair.hs01, sent);
        assert_eq!(
            (row.recipients[0].state, row.state),
            (RecipientState::Read, MailState::Concluded),
            "{to}"
        );
        // What comes late moves nothing back, and is shown.
        for _ in 0..8 {
            pair.clock.advance(Duration::from_secs(3600));
            pair.work().await;
        }
        let late = mail(&pair.hs01, sent);
        assert_eq!(late.recipients, row.recipients);
        assert_eq!(
            reports(&pair.hs01, "ornekas", row.item),
            BTreeSet::from([Report::Delivered, Report::Read, Report::AcceptedByRecipient])
        );
    }
}

#[tokio::test]
async fn a_peer_that_tells_two_declarations_is_heard_once_and_of_a_lost_mail_not_at_all() {
    let pair = pair().await;
    let p = &pair.hs01;
    let sent_id = sent(p, &[ALICI], "Bir").await;
    pair.work().await;
    let rows = evidence::of_mail(&*p.db, p.tenant("ornekas"), sent_id).unwrap();
    let xml = p.spool.load(&rows.last().unwrap().row.xml).await.unwrap();
    let facts = evidence_read::read(&xml).unwrap().facts;
    let forge = Forge::of("hs02.kep.test", &pair.clock);
    let item = mail(p, sent_id).item;
    for event in [Event::Rejection, Event::Acceptance] {
        let evidence = forge.evidence_message(&about(&facts, KIND, event)).await;
        hand(p, "kep@hs02.kep.test", &["kep@hs01.kep.test"], &evidence)
            .await
            .unwrap();
        assert_eq!(mail(p, sent_id).recipients[0].declared, Some(Declared::Refused));
        assert!(!reports(p, "ornekas", item).contains(&Report::AcceptedByRecipient));
    }
    assert_eq!(told(p, "ornekas", sent_id).await.len(), 2, "both are kept");
    // Not delivered, by the same provider's word: then nobody can have declared.
    let lost = sent(p, &[ALICI], "İki").await;
    pair.hs01.work().await;
    let rem_message_id = p.identity.rem_message_id(lost, 0);
    let of_lost = |kind, event| {
        let mut other = about(&facts, kind, event);
        other.message.rem_message_id = rem_message_id.clone();
        other.message.original_sha256 = Some(mail(p, lost).original_sha256);
        other
    };
    let said = [
        of_lost(EvidenceKind::DeliveryNonDeliveryToRecipient, Event::NonDelivery),
        of_lost(KIND, Event::Acceptance),
    ];
    for facts in said {
        let evidence = forge.evidence_message(&facts).await;
        hand(p, "kep@hs02.kep.test", &["kep@hs01.kep.test"], &evidence)
            .await
            .unwrap();
    }
    let row = mail(p, lost);
    assert_eq!(
        (row.recipients[0].state, row.recipients[0].declared),
        (RecipientState::NotConsigned, None)
    );
}

#[tokio::test]
async fn each_recipient_declares_for_himself() {
    let pair = pair().await;
    pair.hs01.add_person("veli").await;
    let p = &pair.hs01;
    let sent = sent(p, &[ALICI, VELI], "İkisine").await;
    pair.work().await;
    let (here, there) = (newest(p, "veli").1, newest(&pair.hs02, "alici").1);
    declare(p, "veli@veli", here, Declared::Refused).await.unwrap();
    declare(&pair.hs02, "alici@alici", there, Declared::Accepted)
        .await
        .unwrap();
    pair.work().await;
    let row = mail(p, sent);
    let declared = |who: &str| {
        let recipient = row.recipients.iter().find(|r| r.address.as_str() == who);
        recipient.unwrap().declared
    };
    assert_eq!(
        (declared(ALICI), declared(VELI)),
        (Some(Declared::Accepted), Some(Declared::Refused))
    );
    let shown = reports(p, "ornekas", row.item);
    assert!(shown.contains(&Report::AcceptedByRecipient) && shown.contains(&Report::RefusedByRecipient));
    assert_eq!(row.state, MailState::Dispatched);
}

#[tokio::test]
async fn a_mail_that_waits_inside_an_account_that_stops_and_other_octets_are_refused() {
    let pair = pair().await;
    let (p, login) = (&pair.hs02, "alici@alici");
    let alici = p.tenant("alici");
    let organisations = || p.organisations.by(crate::provider::admin());
    let approves = BTreeSet::from([Permission::Approve]);
    organisations()
        .add_role(alici, "Kurul", "", approves)
        .await
        .unwrap();
    p.add_user(alici, "uye", UserKind::Limited, &[], &["Kurul"]).await;
    let rule = RuleWish {
        conditions: Some(vec![Condition {
            field: Field::Subject,
            comparison: Comparison::Contains,
            text: "ihale".into(),
        }]),
        steps: Some(vec![NewStep::of("Kurul", 1)]),
        ..RuleWish::default()
    };
    organisations()
        .add_rule(alici, "Gelen", Direction::Incoming, &rule)
        .await
        .unwrap();
    sent(&pair.hs01, &[ALICI], "ihale").await;
    pair.work().await;
    let (item, here) = newest(p, "alici");
    let (kind, say) = refusal(declare(p, login, here, Declared::Accepted).await);
    assert!(kind == Kind::WrongState && say.contains("job"), "{say}");
    let stored = p.items("alici").into_iter().find(|i| i.id == item).unwrap();
    assert_eq!(stored.job.as_ref().unwrap().phase, JobPhase::Waiting);
    let decision = DecisionAsked {
        job: stored.job.unwrap().id,
        act: Act::Approve,
        route: Route::Kepctl,
        note: "",
        original_sha256: None,
    };
    p.approval
        .decide(&p.principal("uye@alici"), decision)
        .await
        .unwrap();
    let by = p.principal(login);
    let with = |original_sha256, note| DeclarationAsked {
        original_sha256,
        ..asked(here, Declared::Accepted, note)
    };
    let (kind, say) = refusal(p.declaring.declare(&by, with(Some([0; 32]), "")).await);
    assert!(kind == Kind::WrongState && say.contains("digest"), "{say}");
    let long = "n".repeat(NOTE_MAX_OCTETS + 1);
    let (kind, say) = refusal(p.declaring.declare(&by, with(None, &long)).await);
    assert!(kind == Kind::Invalid && say.contains("note"), "{say}");
    let stop = |life| organisations().set_tenant(alici, move |t| t.life = life);
    stop(TenantLife::Suspended).await.unwrap();
    let (kind, _) = refusal(p.declaring.declare(&by, with(None, "")).await);
    assert_eq!(kind, Kind::AccountClosed);
    assert_eq!(consignment(p, "alici", here).declaration, None);
    assert!(
        audit::about(&*p.db, alici, Matter::Item(item), 9)
            .unwrap()
            .is_empty()
    );
    // Who closes his account reads on, and answers for what he has.
    let closing = TenantLife::Closing {
        since: pair.clock_now(),
    };
    stop(closing).await.unwrap();
    let digest = consignment(p, "alici", here).original_sha256;
    let noted = "n".repeat(NOTE_MAX_OCTETS);
    p.declaring
        .declare(&by, with(Some(digest), &noted))
        .await
        .unwrap();
    pair.work().await;
    assert_eq!(told(p, "alici", here).await.len(), 1);
}

#[tokio::test]
async fn only_mail_that_came_in_is_declared_of_and_its_keyword_is_a_report() {
    let pair = pair().await;
    let sent = sent(&pair.hs01, &[ALICI], "Bir").await;
    pair.work().await;
    let own = mail(&pair.hs01, sent).item;
    let items = pair.hs01.items("ornekas");
    let about = items.iter().find(|i| i.kind == ItemKind::Evidence).unwrap().id;
    for item in [own, about] {
        for keyword in ["$KepKabul", "$KepGeriCevir"] {
            let marked = mark(&pair.hs01, item, MarkHow::Add, &[keyword]).await;
            let say = marked.refused.unwrap().to_string();
            assert!(say.contains("has come in") && marked.done.is_empty(), "{say}");
        }
    }
    let p = &pair.hs02;
    let (item, here) = newest(p, "alici");
    let by = p.principal("alici@alici");
    let both = Marks {
        keywords: ["$KepKabul", "$KepGeriCevir"].map(str::to_owned).into(),
        ..Marks::default()
    };
    let (kind, _) = refusal(p.mailboxes.mark(&by, &[item], MarkHow::Add, &both).await);
    assert_eq!(kind, Kind::Invalid, "two at once are none");
    let marked = mark(p, item, MarkHow::Add, &["$KepKabulEdildi"]).await;
    assert!(marked.refused.unwrap().to_string().contains("report"));
    assert_eq!(consignment(p, "alici", here).declaration, None);
    declare(p, "alici@alici", here, Declared::Accepted).await.unwrap();
    // A client that writes all flags back declares nothing anew, and takes nothing away.
    let marked = mark(p, item, MarkHow::Replace, &["$KepKabulEdildi", "benim"]).await;
    assert_eq!(marked.refused, None);
    assert!(reports(p, "alici", item).contains(&Report::AcceptedByRecipient));
    let marked = mark(p, item, MarkHow::Remove, &["$KepKabul"]).await;
    assert_eq!(marked.refused, None);
    assert!(consignment(p, "alici", here).declaration.is_some());
}
