//! What is said of persons' signatures (`validation::personal`, `service::submission::signing`), in Turkish: whoever signed
//! reads it in the refusal.

/// English pattern and Turkish pattern; holes in the same order.
pub(super) const PATTERNS: &[(&str, &str)] = &[
    // What is missing for a person's signature.
    (
        "the signature does not name its certificate (CAdES-BES, attribute signing-certificate-v2; profile P1 of BTK \
         2012/DK-15/299), as those of Outlook, Thunderbird and Apple Mail do not; sign the mail with a program that makes \
         CAdES-BES signatures and send it again",
        "imza, hangi sertifikayla atıldığını belirtmiyor (CAdES-BES, signing-certificate-v2 özniteliği; BTK 2012/DK-15/299 P1 \
         profili); Outlook, Thunderbird ve Apple Mail imzaları böyledir. İletiyi CAdES-BES imza atan bir e-imza programıyla \
         imzalayıp yeniden gönderin",
    ),
    (
        "the signature has no signed attributes, so nobody knows when and by which certificate it was made; sign the mail with \
         a program that makes CAdES-BES signatures and send it again",
        "imzada imzalı öznitelik yok; ne zaman ve hangi sertifikayla atıldığı bilinemiyor. İletiyi CAdES-BES imza atan bir \
         e-imza programıyla imzalayıp yeniden gönderin",
    ),
    (
        "the signature reaches profile {}, and {} is asked for (BTK 2012/DK-15/299); set your signing program accordingly",
        "imza {} profilinde, {} profili isteniyor (BTK 2012/DK-15/299); imza programınızı buna göre ayarlayın",
    ),
    ("the signature cannot be taken: {}", "imza kabul edilemiyor: {}"),
    (
        "the mail is not what was signed: something changed it after it was signed",
        "ileti, imzalanan ileti değil: imzalandıktan sonra değişmiş",
    ),
    (
        "the time-stamp of the signature does not hold: {}",
        "imzanın zaman damgası geçerli değil: {}",
    ),
    (
        "it is of a time that has not come",
        "henüz gelmemiş bir zamanı gösteriyor",
    ),
    (
        "the signature says it was made at a time that had not come; set your computer's clock",
        "imzadaki zaman henüz gelmemişti; bilgisayarınızın saatini ayarlayın",
    ),
    (
        "the signature is larger than {} octets",
        "imza {} sekizliden büyük",
    ),
    (
        "there is text in front of the signed part or behind the signature, which is not signed; leave it out and sign again",
        "imzalı bölümün önünde ya da imzanın ardında imzalanmamış metin var; onu çıkarıp yeniden imzalayın",
    ),
    (
        "multipart/signed holds the signed part and its signature, in this order, and nothing else",
        "multipart/signed yalnızca, sırasıyla, imzalı bölümü ve imzayı içerir",
    ),
    // The certificate.
    (
        "the signer's key is of a kind that is not taken: RSA from 2048 bits, P-256 or P-384",
        "imzalayanın anahtarı kabul edilen türlerden değil: en az 2048 bit RSA, P-256 ya da P-384",
    ),
    (
        "the mail is signed with the certificate of an organisation (mali mühür); a person signs with his own (NES)",
        "ileti bir kuruluşun sertifikasıyla (mali mühür) imzalanmış; kişi kendi sertifikasıyla (NES) imzalar",
    ),
    (
        "the mail is signed with a certificate for trying out; it names nobody",
        "ileti bir deneme sertifikasıyla imzalanmış; bu sertifika kimseyi göstermez",
    ),
    (
        "the certificate of the signature is no qualified one (nitelikli elektronik sertifika, NES)",
        "imzanın sertifikası nitelikli elektronik sertifika (NES) değil",
    ),
    (
        "the certificate of the signature is not made to sign with (it lacks the key usage nonRepudiation)",
        "imzanın sertifikası imza atmak için verilmemiş (nonRepudiation anahtar kullanımı yok)",
    ),
    (
        "the certificate of the signature, or one above it, is valid from {} to {}, not at {}",
        "imzanın sertifikası ya da üstündeki bir sertifika {} ile {} arasında geçerli; {} anında değil",
    ),
    (
        "the certificate of the signature, or one above it, was revoked at {} ({})",
        "imzanın sertifikası ya da üstündeki bir sertifika {} anında iptal edilmiş ({})",
    ),
    (
        "the certificate of the signature was not issued under a policy that this provider takes",
        "imzanın sertifikası bu sağlayıcının kabul ettiği bir ilkeye göre verilmemiş",
    ),
    (
        "the certificate of the signature, or one above it, may not be used to sign mail",
        "imzanın sertifikası ya da üstündeki bir sertifika ileti imzalamakta kullanılamaz",
    ),
    (
        "the certificate of the signature has a critical extension that is not understood",
        "imzanın sertifikasında anlaşılmayan kritik bir uzantı var",
    ),
    (
        "no path leads from the certificate of the signature to an authority whose persons' certificates this provider takes",
        "imzanın sertifikasından, bu sağlayıcının kişi sertifikalarını kabul ettiği bir makama yol yok",
    ),
    // Whose it is.
    (
        "the signature is another person's: the TCKN in its certificate is not the one bound to you",
        "imza başka birinin: sertifikasındaki TCKN size bağlı olan değil",
    ),
    (
        "no TCKN is bound to you here, so nobody knows whether the signature is yours; ask your account's administrator (kepctl \
         user cert LOGIN --tckn)",
        "burada size bağlı bir TCKN yok, imzanın sizin olup olmadığı bilinemiyor; hesap yöneticinize başvurun (kepctl user cert \
         LOGIN --tckn)",
    ),
    (
        "the certificate of the signature names no TCKN",
        "imzanın sertifikasında TCKN yok",
    ),
    (
        "the certificate of the signature names mail addresses, and {} is none of them",
        "imzanın sertifikasındaki e-posta adreslerinin hiçbiri {} değil",
    ),
    // A mail that is not signed at all.
    (
        "mail of this account has to be signed by whoever sends it (güvenli elektronik imza), and this is not: {}; sign it with \
         your qualified certificate (NES) as S/MIME and send it again",
        "bu hesabın iletilerini gönderen kişi güvenli elektronik imzayla imzalar, bu ileti imzalı değil: {}; nitelikli \
         sertifikanızla (NES) S/MIME olarak imzalayıp yeniden gönderin",
    ),
    ("it is empty", "ileti boş"),
    (
        "its content is wrapped into the signature, where approvers, search and recipients without S/MIME do not see it; let \
         your mail reader sign \"in clear text\" (multipart/signed)",
        "içeriği imzanın içine sarılmış, onaylayanlar, arama ve S/MIME kullanmayan alıcılar onu göremez; e-posta programınız \
         \"açık metin\" imzalasın (multipart/signed)",
    ),
    (
        "it is not multipart/signed as a whole",
        "bütünüyle multipart/signed değil",
    ),
    (
        "it is signed in another way than S/MIME",
        "S/MIME dışında bir yolla imzalanmış",
    ),
];
