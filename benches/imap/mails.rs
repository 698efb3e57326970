//! The mails of the benchmark: 5 KB with Turkish words, each with a number of its own; the same for every server.

/// Words of ordinary letters; drawn by a fixed sequence.
const WORDS: [&str; 48] = [
    "sayın",
    "ilgili",
    "kurum",
    "başvuru",
    "karar",
    "tebligat",
    "sözleşme",
    "ihale",
    "teklif",
    "bedel",
    "ödeme",
    "tarih",
    "madde",
    "fıkra",
    "kanun",
    "yönetmelik",
    "gereği",
    "bilgi",
    "rica",
    "ederiz",
    "saygılarımızla",
    "müdürlük",
    "şube",
    "belge",
    "ekte",
    "sunulan",
    "dosya",
    "numara",
    "itiraz",
    "süre",
    "içinde",
    "yapılan",
    "inceleme",
    "sonucu",
    "uygun",
    "görülmüş",
    "olup",
    "işlem",
    "onay",
    "kayıt",
    "elektronik",
    "posta",
    "gönderi",
    "alındı",
    "delil",
    "zaman",
    "damga",
    "imza",
];

/// A small generator: the same numbers each run.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

/// Mail number `n` of about `octets` octets. One in a hundred holds the rare word.
pub fn mail(n: usize, octets: usize, from: &str) -> Vec<u8> {
    let mut dice = Dice::new(n as u64 + 1);
    let mut text = format!(
        "From: {from}\r\nTo: user9@hs01.kep.test\r\nSubject: =?UTF-8?Q?Ba=C5=9Fvuru?= {n}\r\nDate: Mon, 12 Jan 2026 10:{:02}:{:02} +0300\r\n\
         Message-ID: <bench-{n}-{}@hs01.kep.test>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
        n / 60 % 60,
        n % 60,
        from.len()
    );
    if n % 100 == 7 {
        text.push_str("olağanüstühâl\r\n");
    }
    let mut column = 0;
    while text.len() + 300 < octets {
        let word = WORDS[dice.below(WORDS.len())];
        text.push_str(word);
        column += word.len() + 1;
        text.push_str(if column > 70 { "\r\n" } else { " " });
        column %= 71;
    }
    text.push_str(
        "\r\n--b\r\nContent-Type: application/pdf; name=\"ek.pdf\"\r\nContent-Disposition: attachment; filename=\"ek.pdf\"\r\n\
         Content-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQKJcOkw7zDtsOfCjIgMCBvYmoKPDwvTGVuZ3RoIDMgMCBSPj4K\r\n--b--\r\n",
    );
    text.into_bytes()
}
