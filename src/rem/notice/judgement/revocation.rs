//! What judges say of revocation, in English and in Turkish, as in `patterns`. In order of who says them.

/// English pattern and Turkish pattern; holes in the same order.
pub(super) const PATTERNS: &[(&str, &str)] = &[
    // seal::reliance
    (
        "'{}' is revoked since {} ({})",
        "'{}' sertifikası {} tarihinden beri iptal ({})",
    ),
    (
        "'{}' was revoked at {} ({}), and nothing proves that the signature is older",
        "'{}' sertifikası {} tarihinde iptal edildi ({}); imzanın daha eski olduğunu gösteren bir şey yok",
    ),
    (
        "'{}' was revoked at {} ({}), and nothing proves that the time-stamp is older",
        "'{}' sertifikası {} tarihinde iptal edildi ({}); zaman damgasının daha eski olduğunu gösteren bir şey yok",
    ),
    // validation::report
    ("not revoked at {}", "{} anında iptal değil"),
    (
        "not revoked at {}; '{}' was revoked only later, at {} ({}), which does no harm",
        "{} anında iptal değil; '{}' ancak sonra, {} tarihinde iptal edildi ({}); bunun zararı yok",
    ),
    ("not known: {}", "bilinmiyor: {}"),
    (
        "nobody publishes anything about it",
        "hakkında iptal bilgisi yayımlanmıyor",
    ),
    ("it was not asked", "sorulmadı"),
    // The words of RFC 5280 5.3.1.
    ("unspecified", "neden belirtilmemiş"),
    ("keyCompromise", "anahtar ele geçirilmiş"),
    ("cACompromise", "makamın anahtarı ele geçirilmiş"),
    ("affiliationChanged", "bağlı olduğu kurum değişmiş"),
    ("superseded", "yenisiyle değiştirilmiş"),
    ("cessationOfOperation", "kullanımına son verilmiş"),
    ("certificateHold", "askıda"),
    ("privilegeWithdrawn", "yetkisi geri alınmış"),
    ("aACompromise", "öznitelik makamının anahtarı ele geçirilmiş"),
    // cms::revocation
    (
        "nothing is known of a revocation of '{}'",
        "'{}' sertifikasının iptal durumu bilinmiyor",
    ),
    (
        "the OCSP responder does not know '{}'",
        "ÇİSDUP yanıtlayıcısı '{}' sertifikasını tanımıyor",
    ),
    (
        "what is known of '{}' is of {} to {}, not of {}",
        "'{}' hakkında bilinen {} ile {} arasına ait; {} anına değil",
    ),
    (
        "'{}' is good so far; that is final by what is issued from {} on",
        "'{}' şimdilik geçerli; {} tarihinden sonra yayımlanan bilgiyle kesinleşir",
    ),
    (
        "what is known of '{}' was issued after its end at {} and need not remember it",
        "'{}' hakkında bilinen, süresinin dolduğu {} tarihinden sonra yayımlanmış; onu anmak zorunda değil",
    ),
    (
        "what is known of '{}' was issued when '{}' was no longer valid",
        "'{}' hakkında bilinen yayımlandığında '{}' artık geçerli değildi",
    ),
    (
        "the OCSP responder '{}' is itself in doubt: {}",
        "ÇİSDUP yanıtlayıcısı '{}' kesin değil: {}",
    ),
    (
        "the OCSP responder '{}' was revoked at {}",
        "ÇİSDUP yanıtlayıcısı '{}' {} tarihinde iptal edildi",
    ),
    (
        "more than {} signatures of revocation values would have to be checked",
        "{} sayısından fazla iptal bilgisi imzasının denetlenmesi gerekirdi",
    ),
    // cms::crl
    (
        "the revocation list cannot be read: {}",
        "iptal listesi okunamıyor: {}",
    ),
    (
        "the revocation list is larger than {} octets",
        "iptal listesi {} sekizliden büyük",
    ),
    (
        "the revocation list of '{}' is not used: {}",
        "'{}' makamının iptal listesi kullanılmadı: {}",
    ),
    (
        "the revocation list of '{}' was not issued by the authority of the certificate",
        "'{}' iptal listesini sertifikanın makamı yayımlamamış",
    ),
    (
        "'{}' may not sign revocation lists",
        "'{}' iptal listesi imzalayamaz",
    ),
    (
        "the signature on the revocation list of '{}' does not verify",
        "'{}' makamının iptal listesindeki imza doğrulanmıyor",
    ),
    ("it is not version 2", "2. sürüm değil"),
    (
        "it does not say when the next one comes",
        "sonrakinin ne zaman çıkacağını söylemiyor",
    ),
    ("it ends before it begins", "başlamadan bitiyor"),
    (
        "it tells only changes (delta)",
        "yalnız değişiklikleri veriyor (delta)",
    ),
    (
        "it has a critical extension that is not understood",
        "anlaşılmayan kritik bir uzantısı var",
    ),
    (
        "it speaks of users only",
        "yalnız kullanıcı sertifikalarını kapsıyor",
    ),
    (
        "it speaks of authorities only",
        "yalnız makam sertifikalarını kapsıyor",
    ),
    (
        "it is that of another distribution point",
        "başka bir dağıtım noktasının listesi",
    ),
    (
        "its distribution point has no full name",
        "dağıtım noktasının tam adı yok",
    ),
    ("it is for some reasons only", "yalnız bazı nedenleri kapsıyor"),
    (
        "it lists certificates of other authorities (indirect)",
        "başka makamların sertifikalarını da sayıyor (dolaylı)",
    ),
    (
        "it is of attribute certificates",
        "öznitelik sertifikalarının listesi",
    ),
    // cms::ocsp
    (
        "the OCSP response cannot be read: {}",
        "ÇİSDUP yanıtı okunamıyor: {}",
    ),
    (
        "the OCSP response is larger than {} octets",
        "ÇİSDUP yanıtı {} sekizliden büyük",
    ),
    (
        "the OCSP responder gave no answer ({})",
        "ÇİSDUP yanıtlayıcısı yanıt vermedi ({})",
    ),
    (
        "the OCSP response says nothing of '{}'",
        "ÇİSDUP yanıtı '{}' hakkında bir şey söylemiyor",
    ),
    (
        "the OCSP response names its responder, whose certificate is missing",
        "ÇİSDUP yanıtının yanıtlayıcısının sertifikası eksik",
    ),
    (
        "'{}' may not answer for certificates of '{}'",
        "'{}', '{}' makamının sertifikaları için yanıt veremez",
    ),
    (
        "the signature of '{}' on the OCSP response does not verify",
        "ÇİSDUP yanıtındaki '{}' imzası doğrulanmıyor",
    ),
    (
        "the nonce of the OCSP response is not the one that was sent",
        "ÇİSDUP yanıtındaki sayı gönderilen sayı değil",
    ),
    // cms::shelf
    (
        "more than {} revocation lists and responses are too many",
        "{} sayısından fazla iptal listesi ve ÇİSDUP yanıtı çok fazla",
    ),
];
