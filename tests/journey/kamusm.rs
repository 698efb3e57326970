//! A small stand-in for the state's time-stamp authority: it opens the `identity` header with the subscriber's password,
//! and stamps only for whom it knows. Its refusals are successful HTTP answers with words inside (as the real one's are).

use aws_lc_rs::cipher::{AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::pbkdf2;
use kepd::cms::der;
use kepd::cms::tsp;
use kepd::seal::DevAuthority;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub const USER: u64 = 4711;
pub const PASSWORD: &str = "kanarya-kontor";

/// The authority; its threads end with the test.
pub struct Kamusm {
    pub url: String,
    pub stamped: Arc<AtomicU64>,
    pub refused: Arc<AtomicU64>,
}

impl Kamusm {
    /// Asks `authority` for tokens at the moments that `now` gives. It refuses to send its certificate.
    pub fn open(authority: DevAuthority, now: fn() -> kepd::clock::UtcTime) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (stamped, refused) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let counts = (stamped.clone(), refused.clone());
        let authority = Arc::new(authority);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (authority, counts) = (authority.clone(), counts.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &authority, now, &counts));
            }
        });
        Self {
            url,
            stamped,
            refused,
        }
    }
}

fn serve(
    stream: TcpStream,
    authority: &DevAuthority,
    now: fn() -> kepd::clock::UtcTime,
    (stamped, refused): &(Arc<AtomicU64>, Arc<AtomicU64>),
) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut identity, mut length) = (None, 0);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            match line.split_once(": ") {
                Some(("identity", value)) => identity = Some(value.to_owned()),
                Some(("content-length", value)) => length = value.parse().unwrap(),
                _ => {}
            }
        }
        let mut request = vec![0; length];
        stream.read_exact(&mut request).unwrap();
        let answer = match refusal(identity.as_deref(), &request) {
            None => {
                let serial = stamped.fetch_add(1, Ordering::SeqCst);
                authority.answer(&request, now(), serial + 1)
            }
            Some(words) => {
                refused.fetch_add(1, Ordering::SeqCst);
                let words = der::sequence(&[&der::tlv(der::UTF8_STRING, &[words.as_bytes()])]);
                der::sequence(&[&der::sequence(&[&der::unsigned(&[2]), &words])])
            }
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/timestamp-reply\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        let stream = stream.get_mut();
        if stream.write_all(&[head.as_bytes(), &answer].concat()).is_err() {
            return;
        }
    }
}

/// What is said to who is not known, or asks for too much.
fn refusal(identity: Option<&str>, request: &[u8]) -> Option<&'static str> {
    let asked = tsp::read_request(request).unwrap();
    let Some(told) = identity.and_then(opened) else {
        return Some("Kullanıcı tanınmıyor");
    };
    if told != (USER, asked.imprint.octets().to_vec()) {
        return Some("Kimlik istekle uyuşmuyor");
    }
    asked.wants_certificates.then_some("Sertifika istenemez")
}

/// The user and the hash in the header, if the password fits.
fn opened(header: &str) -> Option<(u64, Vec<u8>)> {
    let octets: Option<Vec<u8>> = (0..header.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(header.get(i..i + 2)?, 16).ok())
        .collect();
    let octets = octets?;
    let mut fields = der::whole(&octets, der::SEQUENCE, "identity").ok()?;
    let number = |octets: &[u8]| octets.iter().fold(0, |n, o| n << 8 | u64::from(*o));
    let user = number(fields.expect(der::INTEGER, "userid").ok()?.value);
    let salt = fields.expect(der::OCTET_STRING, "salt").ok()?.value;
    let rounds = number(fields.expect(der::INTEGER, "iterations").ok()?.value);
    let iv: [u8; 16] = fields
        .expect(der::OCTET_STRING, "iv")
        .ok()?
        .value
        .try_into()
        .ok()?;
    let mut hash = fields.expect(der::OCTET_STRING, "encrypted").ok()?.value.to_vec();
    fields.end("identity").ok()?;
    let mut key = [0; 32];
    let rounds = NonZeroU32::new(u32::try_from(rounds).ok()?)?;
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        rounds,
        salt,
        PASSWORD.as_bytes(),
        &mut key,
    );
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, &key).ok()?).ok()?;
    let context = DecryptionContext::Iv128((&iv).into());
    let hash = key.decrypt(&mut hash, context).ok()?.to_vec();
    Some((user, hash))
}
