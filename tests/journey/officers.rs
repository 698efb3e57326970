//! What becomes of a submission, by who hands it in and what he asks for: sent, held for approval, or kept as a draft;
//! and drafts that are moved to where they start a flow or are sent.

use crate::provider::Provider;
use crate::road::{Pair, message, pair};
use crate::transfers::{ALICI, octets};
use kepd::domain::item::{Item, ItemKind};
use kepd::domain::job::{Act, Route};
use kepd::domain::mail::{MailState, RecipientState};
use kepd::domain::org::UserKind;
use kepd::domain::rule::{Comparison, Condition, Direction, Field};
use kepd::domain::selector::Mailbox;
use kepd::mime::{Structure, decode};
use kepd::service::approval::DecisionAsked;
use kepd::service::failure::{Failure, Kind};
use kepd::service::mailbox::{Filed, Verb};
use kepd::service::organisation::{NewStep, RuleWish};
use kepd::service::submission::Accepted;
use kepd::store::tables::{items, mails};

const MATCHES: &str = "Fiyat teklifi";
const MATCHES_NOT: &str = "Duyuru";

/// What became of it, in words.
fn word(outcome: &Result<Accepted, Failure>) -> String {
    match outcome {
        Ok(Accepted::Sent { .. }) => "sent".into(),
        Ok(Accepted::Released { .. }) => "released".into(),
        Ok(Accepted::Job { rule, .. }) => format!("flow {rule}"),
        Ok(Accepted::Draft {
            no_rule_matched: true,
            ..
        }) => "draft with notice".into(),
        Ok(Accepted::Draft { .. }) => "draft".into(),
        Err(Failure::Refused(refusal)) => format!("refused: {}", refusal.text),
        Err(other) => panic!("{other}"),
    }
}

async fn follow_rules(p: &Provider, follow: bool) {
    p.organisations
        .by(crate::provider::admin())
        .set_tenant(p.tenant("ornekas"), move |t| t.officers_follow_rules = follow)
        .await
        .unwrap();
}

/// The item a submission became.
fn item_of(p: &Provider, accepted: &Accepted) -> Item {
    let wanted = match accepted {
        Accepted::Sent { mail } | Accepted::Released { mail, .. } | Accepted::Job { mail, .. } => {
            let stored = mails::mail(&*p.db, p.tenant("ornekas"), *mail).unwrap();
            stored.unwrap().row.item
        }
        Accepted::Draft { item, .. } => *item,
    };
    let all = p.items("ornekas");
    all.into_iter().find(|i| i.id == wanted).unwrap()
}

async fn text_of(p: &Provider, item: &Item) -> String {
    let body = items::body(&*p.db, p.tenant("ornekas"), item.id).unwrap();
    String::from_utf8(octets(p, &body.unwrap().row.content).await).unwrap()
}

/// A rule that speaks of nobody but the officer.
async fn add_rule_of_mudur(p: &Provider) {
    let wish = RuleWish {
        subjects: Some(vec!["user:mudur".into()]),
        conditions: Some(vec![Condition {
            field: Field::Subject,
            comparison: Comparison::Contains,
            text: "bütçe".into(),
        }]),
        steps: Some(vec![NewStep::of("Onay Rolü", 1)]),
        ..RuleWish::default()
    };
    p.organisations
        .by(crate::provider::admin())
        .add_rule(p.tenant("ornekas"), "Yönetim", Direction::Outgoing, &wish)
        .await
        .unwrap();
}

/// Who, whether officers follow rules, header lines, the subject, and what becomes of it.
type Case = (&'static str, bool, &'static str, &'static str, &'static str);

const CASES: &[Case] = &[
    // Nothing asked for.
    ("mudur", false, "", MATCHES, "sent"),
    ("mudur", false, "", MATCHES_NOT, "sent"),
    ("mudur", true, "", MATCHES, "flow Teklif"),
    ("mudur", true, "", MATCHES_NOT, "sent"),
    ("ayse", false, "", MATCHES, "flow Teklif"),
    ("ayse", true, "", MATCHES_NOT, "draft with notice"),
    // To be sent: an officer may, a limited user may not.
    ("mudur", true, "X-KEP-Islem: gonder\r\n", MATCHES, "sent"),
    ("mudur", true, "", "[gonder] Fiyat teklifi", "sent"),
    ("ayse", false, "X-KEP-Islem: gonder\r\n", MATCHES, "flow Teklif"),
    (
        "ayse",
        false,
        "x-kep-islem: GONDER\r\n",
        MATCHES_NOT,
        "draft with notice",
    ),
    ("ayse", false, "", "[gonder] Duyuru", "draft with notice"),
    // A draft.
    ("mudur", true, "X-KEP-Islem: taslak\r\n", MATCHES, "draft"),
    ("mudur", false, "", "[taslak] Duyuru", "draft"),
    ("ayse", false, "", "[taslak] Fiyat teklifi", "draft"),
    // A flow: of the first rule that matches, or of the one that is named, matching or not.
    ("mudur", false, "X-KEP-Islem: akis\r\n", MATCHES, "flow Teklif"),
    (
        "mudur",
        false,
        "X-KEP-Islem: akis\r\n",
        MATCHES_NOT,
        "draft with notice",
    ),
    (
        "mudur",
        false,
        "X-KEP-Kural: Teklif\r\n",
        MATCHES_NOT,
        "flow Teklif",
    ),
    ("mudur", false, "", "[akis: teklif] Duyuru", "flow Teklif"),
    (
        "ayse",
        false,
        "X-KEP-Islem: akis\r\nX-KEP-Kural: Teklif\r\n",
        MATCHES_NOT,
        "flow Teklif",
    ),
    ("ayse", false, "", "[akis: Teklif] Duyuru", "flow Teklif"),
    // The header is asked before the subject.
    (
        "mudur",
        false,
        "X-KEP-Islem: taslak\r\n",
        "[gonder] Duyuru",
        "draft",
    ),
];

#[tokio::test]
async fn who_hands_it_in_and_what_he_asks_for_say_what_becomes_of_it() {
    let pair = pair().await;
    let p = &pair.hs01;
    for (who, follow, head, subject, wanted) in CASES {
        follow_rules(p, *follow).await;
        let text = format!("{head}{}", message(subject, ALICI));
        let outcome = p.submit(&format!("{who}@ornekas"), &[ALICI], &text).await;
        let name = format!("{who} follow={follow} {head:?} {subject:?}");
        assert_eq!(word(&outcome), *wanted, "{name}");
        // Nothing of the wish is left in what is approved, sealed or kept.
        let kept = text_of(p, &item_of(p, &outcome.unwrap())).await;
        let lower = kept.to_ascii_lowercase();
        assert!(!lower.contains("x-kep-"), "{name}: {kept}");
        let plain = subject.rsplit_once("] ").map_or(*subject, |(_, rest)| rest);
        assert!(
            kept.contains(&format!("\r\nSubject: {plain}\r\n")),
            "{name}: {kept}"
        );
    }
}

#[tokio::test]
async fn wishes_that_make_no_sense_are_refused_and_keep_nothing() {
    let pair = pair().await;
    let p = &pair.hs01;
    add_rule_of_mudur(p).await;
    let before = p.items("ornekas").len();
    let there_is = |offered: &str| format!("refused: there is no rule \"Yok\"; the rules are: {offered}");
    let cases = [
        (
            "mudur",
            "X-KEP-Kural: Yok\r\n",
            MATCHES,
            there_is("Teklif, Yönetim"),
        ),
        // Only rules he could name.
        ("ayse", "X-KEP-Kural: Yok\r\n", MATCHES, there_is("Teklif")),
        ("ayse", "", "[akis: Yok] Duyuru", there_is("Teklif")),
        (
            "mudur",
            "X-KEP-Islem: belki\r\n",
            MATCHES,
            "refused: X-KEP-Islem is gonder, akis or taslak".to_owned(),
        ),
    ];
    for (who, head, subject, wanted) in cases {
        let text = format!("{head}{}", message(subject, ALICI));
        let outcome = p.submit(&format!("{who}@ornekas"), &[ALICI], &text).await;
        assert_eq!(word(&outcome), wanted);
    }
    // A rule that speaks of others is as if it were not there.
    let text = message("[akis: Yönetim] Duyuru", ALICI);
    let outcome = p.submit("ayse@ornekas", &[ALICI], &text).await;
    assert!(
        word(&outcome).starts_with("refused: there is no rule"),
        "{outcome:?}"
    );
    assert_eq!(p.items("ornekas").len(), before);
}

async fn moved(p: &Provider, login: &str, item: &Item, from: Mailbox, name: &str) -> Result<Filed, Failure> {
    let by = p.principal(login);
    let to = p.mailboxes.resolve(&by, name)?;
    let mut opened = p.mailboxes.open(&by, from).await?;
    let uid = opened.uid_of(item.id).expect("it stands there");
    let which = [(uid, item.id)];
    p.mailboxes.file(&by, &mut opened, &which, to, Verb::Move).await
}

fn live_drafts(p: &Provider) -> usize {
    let items = p.items("ornekas").into_iter();
    items.filter(|i| i.kind == ItemKind::Draft && !i.gone).count()
}

/// All mails of ornekas, by state.
fn mail_states(p: &Provider) -> Vec<MailState> {
    let all = mails::all(&*p.db, p.tenant("ornekas")).unwrap();
    all.into_iter().map(|m| m.row.state).collect()
}

async fn arrived(pair: &Pair) -> usize {
    pair.work().await;
    let items = pair.hs02.items("alici").into_iter();
    items.filter(|i| i.kind == ItemKind::Incoming).count()
}

#[tokio::test]
async fn no_rule_matched_so_the_notice_lists_them_and_the_draft_is_moved_to_one() {
    let pair = pair().await;
    let p = &pair.hs01;
    add_rule_of_mudur(p).await;
    let accepted = p
        .submit("ayse@ornekas", &[ALICI], &message(MATCHES_NOT, ALICI))
        .await
        .unwrap();
    let draft = item_of(p, &accepted);
    let notice = p
        .items("ornekas")
        .into_iter()
        .find(|i| i.kind == ItemKind::Notice);
    let notice = notice.unwrap();
    assert_eq!(notice.author, Some(p.principal("ayse@ornekas").user));
    let told = text_of(p, &notice).await;
    let structure = Structure::of(told.as_bytes());
    let part = structure
        .parts
        .iter()
        .find(|part| part.is_type("text/plain"))
        .unwrap();
    let body = decode::text(part, part.body.of(told.as_bytes()).unwrap(), 10_000).unwrap();
    assert!(
        body.contains("Tanımlı kurallar: Teklif") && !body.contains("Yönetim"),
        "{body}"
    );
    assert!(body.contains("İş Akışları"), "{body}");
    // Not the way of an officer, and not a rule that speaks of others.
    for closed in ["İşlerim/Gönder", "İş Akışları/Yönetim"] {
        let refused = moved(p, "ayse@ornekas", &draft, Mailbox::Drafts, closed).await;
        let kind = match refused {
            Err(Failure::Refused(refusal)) => refusal.kind,
            other => panic!("{other:?}"),
        };
        assert!(matches!(kind, Kind::NoPermission | Kind::NotFound), "{closed}");
    }
    assert_eq!((live_drafts(p), mail_states(p).len()), (1, 0));
    let filed = moved(p, "ayse@ornekas", &draft, Mailbox::Drafts, "İş Akışları/Teklif").await;
    assert_eq!(filed.unwrap().refused, None);
    assert_eq!((live_drafts(p), mail_states(p)), (0, vec![MailState::Held]));
    let mail = mails::all(&*p.db, p.tenant("ornekas")).unwrap().remove(0).row;
    for (login, act) in [
        ("onay1@ornekas", Act::Approve),
        ("onay2@ornekas", Act::Approve),
        ("mudur@ornekas", Act::Release),
    ] {
        assert_eq!(arrived(&pair).await, 0);
        let asked = DecisionAsked {
            job: mail.job.unwrap(),
            act,
            route: Route::Kepctl,
            note: "",
            original_sha256: None,
        };
        p.approval.decide(&p.principal(login), asked).await.unwrap();
    }
    assert_eq!(arrived(&pair).await, 1);
}

#[tokio::test]
async fn an_officer_moves_a_draft_to_where_it_is_sent_or_approved() {
    let pair = pair().await;
    let p = &pair.hs01;
    follow_rules(p, true).await;
    let text = message("[taslak] Fiyat teklifi", ALICI);
    let first = p.submit("mudur@ornekas", &[ALICI], &text).await.unwrap();
    let second = p.submit("mudur@ornekas", &[ALICI], &text).await.unwrap();
    let (first, second) = (item_of(p, &first), item_of(p, &second));
    // Another officer does not see his drafts.
    p.add_user(p.tenant("ornekas"), "muavin", UserKind::Officer, &[], &[])
        .await;
    let other = p.principal("muavin@ornekas");
    let opened = p.mailboxes.open(&other, Mailbox::Drafts).await.unwrap();
    assert_eq!(opened.members().count(), 0);
    // Sent, though a rule matches and officers follow rules: that is what he says by it.
    let filed = moved(p, "mudur@ornekas", &first, Mailbox::Drafts, "İşlerim/Gönder").await;
    assert_eq!(filed.unwrap().refused, None);
    assert_eq!(live_drafts(p), 1);
    assert_eq!(arrived(&pair).await, 1);
    let sent = mails::all(&*p.db, p.tenant("ornekas")).unwrap().remove(0).row;
    assert_eq!(
        (sent.job, sent.recipients[0].state),
        (None, RecipientState::Consigned)
    );
    let filed = moved(p, "mudur@ornekas", &second, Mailbox::Drafts, "İş Akışları/Teklif").await;
    assert_eq!(filed.unwrap().refused, None);
    assert_eq!(live_drafts(p), 0);
    assert_eq!(arrived(&pair).await, 1);
    assert!(mail_states(p).contains(&MailState::Held));
}
