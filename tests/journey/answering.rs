//! Answers to status messages, handed in at the submission door: notes on the job, and whatever tries to pass for one.

use crate::doors::{Doors, doors, tls_pki};
use crate::provider::Provider;
use crate::telling::{TENANT, submit, told};
use kepd::domain::job::{Entry, Route};
use kepd::domain::schedule::DAY;
use kepd::id::JobId;
use kepd::store::tables::jobs;
use kepd::store::tables::work::{self, OwedEvidence};
use serde_json::{Value, json};

const ORNEKAS: &str = "ornekas@hs01.kep.test";
const ALICI: &str = "alici@hs02.kep.test";

/// A job that waits for onay1, and the address by which he may answer.
async fn asked(doors: &Doors) -> (JobId, String) {
    let p = &doors.pair.hs01;
    let job = submit(p).await;
    doors.pair.work().await;
    let address = told(p, "onay1").await.pop().unwrap().answer;
    (job, address)
}

fn answer(id: &str, body: &str) -> String {
    format!(
        "From: Onay <{ORNEKAS}>\r\nTo: x\r\nSubject: Re: Fiyat\r\nMessage-ID: <{id}@ornek>\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n{body}\r\n"
    )
}

/// What a user hears when he sends this there.
pub async fn send(doors: &Doors, login: &str, to: &[&str], text: &str) -> String {
    let mut steps = vec![
        json!(["login", format!("{login}@ornekas"), format!("{login}-parola")]),
        json!(["say", format!("MAIL FROM:<{ORNEKAS}>")]),
    ];
    steps.extend(to.iter().map(|to| json!(["say", format!("RCPT TO:<{to}>")])));
    // A client that goes on in spite of a refused recipient sends to the others only.
    if to.len() == 1 {
        steps.push(json!(["content", text]));
    }
    let replies = doors.client(true, Value::Array(steps)).await;
    let refused = replies.iter().skip(1).find(|reply| !reply.starts_with("250"));
    refused.or(replies.last()).unwrap().clone()
}

fn history(p: &Provider, job: JobId) -> Vec<Entry> {
    jobs::history(&*p.db, p.tenant(TENANT), job).unwrap()
}

/// Everything that a refused answer must leave as it was.
fn state(p: &Provider, job: JobId) -> (usize, usize, usize) {
    let owed = work::all::<OwedEvidence>(&*p.db).unwrap().len();
    (history(p, job).len(), p.items(TENANT).len(), owed)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_becomes_a_note_once() {
    let doors = doors().await;
    let p = &doors.pair.hs01;
    let (job, address) = asked(&doors).await;
    let before = state(p, job);
    let text = answer(
        "1",
        "Fiyatı düşürün.\r\n\r\nKEPHS <kep@hs01.kep.test> yazdı:\r\n> Onay işi\r\n-- \r\nOnay",
    );
    // onay1 has no permission to compose: he may answer all the same.
    let said = send(&doors, "onay1", &[&address], &text).await;
    assert_eq!(said, format!("250 2.0.0 note left with job {job}"));
    let noted = history(p, job).pop().unwrap().happening;
    assert_eq!(
        (
            noted.deed.word(),
            noted.note.as_str(),
            noted.actor_login.as_str(),
            noted.route
        ),
        ("note", "Fiyatı düşürün.", "onay1@ornekas", Some(Route::Mail))
    );
    assert_eq!(
        state(p, job),
        (before.0 + 1, before.1, before.2),
        "no mail, no evidence"
    );
    // The client never saw the 250.
    assert_eq!(send(&doors, "onay1", &[&address], &text).await, said);
    let other = send(&doors, "onay1", &[&address], &answer("2", "Başka bir not.")).await;
    assert!(
        other.starts_with("550 5.7.1 this answer address has been used"),
        "{other}"
    );
    assert_eq!(state(p, job), (before.0 + 1, before.1, before.2));
    doors.pair.work().await;
    let heard = told(p, "ayse").await.pop().unwrap();
    assert_eq!(heard.subject, "Re: [Not] Fiyat TEKLİFİ");
    assert!(heard.text.contains("| Fiyatı düşürün.\n"), "{}", heard.text);
    assert_eq!(told(p, "onay1").await.len(), 1, "he knows what he wrote himself");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_connections_with_one_answer_leave_one_note() {
    let doors = doors().await;
    let p = &doors.pair.hs01;
    let (job, address) = asked(&doors).await;
    let text = answer("1", "Uygundur.");
    let to = [address.as_str()];
    let (one, other) = tokio::join!(
        send(&doors, "onay1", &to, &text),
        send(&doors, "onay1", &to, &text)
    );
    assert!(one.starts_with("250") && one == other, "{one} {other}");
    let notes = history(p, job)
        .iter()
        .filter(|e| e.happening.deed.word() == "note")
        .count();
    assert_eq!(notes, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_address_serves_its_user_and_nobody_else() {
    let doors = doors().await;
    let p = &doors.pair.hs01;
    let (job, address) = asked(&doors).await;
    let before = state(p, job);
    let text = answer("1", "Uygundur.");
    let forged = format!("is-{}@hs01.kep.test", "0123456789abcdef".repeat(2));
    for (login, to, wanted) in [
        (
            "onay1",
            vec![forged.as_str()],
            "550 5.1.1 this answer address is not known",
        ),
        (
            "ayse",
            vec![address.as_str()],
            "550 5.7.1 this answer address was given to another user",
        ),
        (
            "mudur",
            vec![address.as_str()],
            "550 5.7.1 this answer address was given to another user",
        ),
        (
            "onay1",
            vec![ALICI],
            "550 5.7.1 you have no permission to compose",
        ),
        (
            "onay1",
            vec![&address, ALICI],
            "550 5.7.1 an answer to a status message goes to its own address alone",
        ),
        (
            "mudur",
            vec![ALICI, &address],
            "550 5.7.1 an answer to a status message goes to its own address alone",
        ),
    ] {
        let said = send(&doors, login, &to, &text).await;
        assert!(said.starts_with(wanted), "{login} {to:?}: {said}");
        assert_eq!(state(p, job).0, before.0);
    }
    // A user of another tenant has the address, and the right one of his own to send from.
    p.add_person("yabanci").await;
    let steps = json!([
        ["login", "yabanci@yabanci", "yabanci-parola"],
        ["say", "MAIL FROM:<yabanci@hs01.kep.test>"],
        ["say", format!("RCPT TO:<{address}>")]
    ]);
    let said = doors.client(true, steps).await.pop().unwrap();
    assert!(
        said.starts_with("550 5.1.1 this answer address is not known"),
        "{said}"
    );
    // Without a login, and from another provider.
    let said = doors
        .client(true, json!([["say", format!("MAIL FROM:<{ORNEKAS}>")]]))
        .await;
    assert!(said[0].starts_with("530"), "{said:?}");
    let parsed = address.parse().unwrap();
    assert!(p.intake.check_recipient(&parsed).is_err());
    assert!(
        p.submission.check_recipient(&parsed, None).is_err(),
        "no mail and no draft goes there"
    );
    // When his right to see the job is gone, so is the address; and it ends by itself.
    let roles = |keep: bool| {
        let set = p.organisations.by(crate::provider::admin());
        set.set_user(p.tenant(TENANT), "onay1", move |draft, user| {
            user.roles = if keep {
                [draft.role("Onay Rolü")?].into()
            } else {
                Default::default()
            };
            Ok(())
        })
    };
    roles(false).await.unwrap();
    let said = send(&doors, "onay1", &[&address], &text).await;
    assert!(
        said.starts_with(&format!("550 5.7.1 there is no job {job}")),
        "{said}"
    );
    roles(true).await.unwrap();
    doors.pair.clock.advance(DAY * 90);
    let said = send(&doors, "onay1", &[&address], &text).await;
    assert!(
        said.starts_with("550 5.1.1 this answer address is not known, or it has expired"),
        "{said}"
    );
    let after = state(p, job);
    assert_eq!((after.0, after.2), (before.0, before.2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_note_is_refused_and_uses_nothing_up() {
    let doors = doors().await;
    let p = &doors.pair.hs01;
    let (job, address) = asked(&doors).await;
    let before = state(p, job);
    let plain = answer("1", "Uygundur.");
    let html = plain.replace("text/plain", "text/html");
    for (text, wanted) in [
        (
            answer("1", "> yalnız alıntı\r\n> var"),
            "554 5.6.0 the answer has no words of its own",
        ),
        (
            html.replace("Uygundur.", "<div>Onaylanabilir</div><div>değil</div>"),
            "554 5.6.0 the answer is in HTML only; set your mail reader to plain text",
        ),
        (html, "554 5.6.0 the answer is in HTML only"),
        (
            plain.replace("text/plain", "image/png"),
            "554 5.6.0 the answer has no text",
        ),
        (
            plain.replacen("From", "Auto-Submitted: auto-replied\r\nFrom", 1),
            "554 5.6.0 this answer was made by a program",
        ),
        (
            plain.replace(ORNEKAS, "baskasi@hs01.kep.test"),
            "550 5.7.1 you send as ornekas@hs01.kep.test only",
        ),
        (
            plain.replacen("From", "From: <x@hs01.kep.test>\r\nFrom", 1),
            "554 5.6.0 the header has more than one From field",
        ),
        (
            answer(
                "1",
                &"Uzun uzun. "
                    .repeat(80)
                    .split_inclusive("uzun. ")
                    .map(|s| format!("{s}\r\n"))
                    .collect::<String>()
                    .repeat(3),
            ),
            "554 5.6.0 the note is longer than",
        ),
        (
            answer("1", &"0123456789\r\n".repeat(50_000)),
            "552 5.3.4 an answer to a status message has at most",
        ),
    ] {
        let said = send(&doors, "onay1", &[&address], &text).await;
        assert!(said.starts_with(wanted), "{said}");
        assert_eq!(state(p, job), before, "{said}");
    }
    assert!(
        send(&doors, "onay1", &[&address], &plain)
            .await
            .starts_with("250")
    );
}

/// Reads the status message by IMAP, answers it by SMTP, and leaves its copy as mail readers do.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_client_answers_a_status_message() {
    let doors = doors().await;
    let p = &doors.pair.hs01;
    let (job, _) = asked(&doors).await;
    let door = crate::crediting::imap_door(p);
    let imap = crate::imap_client::listen(door, crate::imap_client::acceptor(tls_pki()), true).await;
    let ca = doors.pair.dir.path().join("tls-ca.pem");
    std::fs::write(&ca, &tls_pki().ca.certificate_pem).unwrap();
    let arguments = [
        imap.to_string(),
        doors.submission_tls.to_string(),
        ca.display().to_string(),
        job.to_string(),
    ];
    crate::imap_client::run_client("answer_client.py", arguments.into()).await;
    let noted = history(p, job).pop().unwrap().happening;
    assert_eq!(noted.note, "Şartnameyi de ekleyin.\nİyi çalışmalar");
}
