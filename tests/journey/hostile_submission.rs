//! Hostile clients at the submission door: those who guess, and those who are busy without end. The runtime's clock is
//! turned, so minutes pass in no time.

use super::doors::{tls, tls_pin};
use super::road::pair;
use kepd::domain::audit::Origin;
use kepd::net::submission::{Entry, SubmissionDoor};
use kepd::net::tls::connect_pinned;
use kepd::sasl::encode_base64;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};
use tokio::sync::watch;
use tokio::time::Instant;

const PIPE_OCTETS: usize = 4 * 1024 * 1024;

fn connect(door: &Arc<SubmissionDoor>, from: &str, entry: Entry) -> (DuplexStream, watch::Sender<bool>) {
    let (client, server) = tokio::io::duplex(PIPE_OCTETS);
    let (keep, closing) = watch::channel(false);
    let from = Origin::Network(from.parse().unwrap());
    tokio::spawn(door.clone().serve(server, from, entry, closing));
    (client, keep)
}

/// Greets and logs in; the reply, and after how many seconds it came.
async fn log_in(door: &Arc<SubmissionDoor>, from: &str, login: &str, password: &str) -> (String, u64) {
    let (client, _keep) = connect(door, from, Entry::Tls);
    let client = connect_pinned(client, "hs01.kep.test", &[tls_pin()])
        .await
        .unwrap();
    let mut client = BufReader::new(client);
    let began = Instant::now();
    let plain = encode_base64(format!("\0{login}\0{password}").as_bytes());
    let said = format!("EHLO a\r\nAUTH PLAIN {plain}\r\n");
    client.get_mut().write_all(said.as_bytes()).await.unwrap();
    client.get_mut().flush().await.unwrap();
    loop {
        let mut line = String::new();
        assert!(client.read_line(&mut line).await.unwrap() > 0, "the end");
        if !line.starts_with("220") && !line.starts_with("250") {
            return (line, began.elapsed().as_secs());
        }
    }
}

#[tokio::test]
async fn guessing_is_slowed_at_all_doors_together() {
    let pair = pair().await;
    let p = &pair.hs01;
    let host = "hs01.kep.test".to_owned();
    let (accounts, submission) = (p.accounts.clone(), p.submission.clone());
    let door = SubmissionDoor::new(
        accounts,
        submission,
        p.answering.clone(),
        p.enquiries.clone(),
        tls(),
        host,
        [7; 32],
    );
    let door = Arc::new(door.with_login_failure_delay(Duration::ZERO));
    tokio::time::pause();
    let mut replies = Vec::new();
    for _ in 0..5 {
        let (reply, waited) = log_in(&door, "203.0.113.1", "mudur@ornekas", "yanlis parola").await;
        replies.push((reply.starts_with("535 5.7.8"), waited));
    }
    assert_eq!(replies, [(true, 0), (true, 0), (true, 0), (true, 0), (true, 1)]);
    // What failed at the mailbox door counts here.
    let now = kepd::clock::Clock::now(&*pair.clock);
    let guesser = Origin::Network("203.0.113.1".parse().unwrap());
    for _ in 0..10 {
        p.accounts.pace.failed(now, guesser, None);
    }
    let (reply, waited) = log_in(&door, "203.0.113.1", "ayse@ornekas", "ayse-parola").await;
    assert!(reply.starts_with("235") && waited == 30, "{waited} s: {reply}");
    let (reply, waited) = log_in(&door, "203.0.113.1", "mudur@ornekas", "mudur-parola").await;
    assert!(
        reply.starts_with("454 4.7.0") && waited == 0,
        "{waited} s: {reply}"
    );
    // She is known there now, and he comes in from elsewhere.
    let (reply, waited) = log_in(&door, "203.0.113.1", "ayse@ornekas", "ayse-parola").await;
    assert!(reply.starts_with("235") && waited == 0, "{waited} s: {reply}");
    let (reply, waited) = log_in(&door, "192.0.2.9", "mudur@ornekas", "mudur-parola").await;
    assert!(reply.starts_with("235") && waited == 2, "{waited} s: {reply}");
}

#[tokio::test]
async fn busy_without_end_is_no_way_around_the_time_to_log_in() {
    let pair = pair().await;
    let p = &pair.hs01;
    let host = "hs01.kep.test".to_owned();
    let (accounts, submission) = (p.accounts.clone(), p.submission.clone());
    let door = SubmissionDoor::new(
        accounts,
        submission,
        p.answering.clone(),
        p.enquiries.clone(),
        tls(),
        host,
        [7; 32],
    );
    tokio::time::pause();
    let (client, _keep) = connect(&Arc::new(door), "203.0.113.1", Entry::StartTls);
    let mut client = BufReader::new(client);
    let mut greeting = String::new();
    client.read_line(&mut greeting).await.unwrap();
    let said = 100_000;
    client
        .get_mut()
        .write_all("NOOP\r\n".repeat(said).as_bytes())
        .await
        .unwrap();
    tokio::time::advance(Duration::from_secs(301)).await;
    let mut heard = String::new();
    client.read_to_string(&mut heard).await.unwrap();
    let answered = heard.matches("250 ").count();
    assert!(
        answered < said && heard.contains("421 4.4.2"),
        "{answered} answers"
    );
}
