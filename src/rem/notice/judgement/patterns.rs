//! The reasons of judges: each as an English pattern, and as a Turkish one. In order of who says them.

/// English pattern and Turkish pattern; holes in the same order.
pub(super) const PATTERNS: &[(&str, &str)] = &[
    // Of the verifier itself.
    ("the signature does not hold", "imza geçerli değil"),
    (
        "there is no time-stamp on the signature",
        "imzada zaman damgası yok",
    ),
    (
        "the time-stamp by itself was good until {}, and no evidence record carries it on",
        "zaman damgası tek başına {} anına kadar geçerliydi; onu sürdüren bir kanıt kaydı yok",
    ),
    (
        "its algorithm was fit until {} only, and it was made later",
        "algoritması yalnız {} anına kadar uygundu; daha sonra atılmış",
    ),
    (
        "the signer claims a time after the time-stamp",
        "imzalayanın belirttiği zaman, zaman damgasından sonra",
    ),
    (
        "nothing says when the signature was made",
        "imzanın ne zaman atıldığını gösteren bir şey yok",
    ),
    (
        "the signer's key is neither ECDSA P-256, P-384 nor RSA of 2048 to 8192 bits",
        "imzalayanın anahtarı ECDSA P-256, P-384 veya 2048-8192 bit RSA değil",
    ),
    (
        "there are no trust anchors; name their folder with --trust",
        "güven kökü verilmedi; klasörünü --trust ile belirtin",
    ),
    ("the message could not be opened", "ileti açılamadı"),
    (
        "the outer header is not what the evidence states (the outer header is not covered by the signature)",
        "dış başlık delilin söylediğiyle aynı değil (dış başlık imzanın kapsamında değildir)",
    ),
    (
        "the message says it comes from {}, which the signer's certificate does not name",
        "ileti {} adresinden geldiğini söylüyor; imzalayanın sertifikasında bu adres yok",
    ),
    // cms::path
    (
        "no path from '{}' to a trust anchor",
        "'{}' sertifikasından bir güven köküne yol yok",
    ),
    (
        "'{}' is valid from {} to {}, not at {}",
        "'{}' sertifikası {} ile {} arasında geçerli; {} anında değil",
    ),
    (
        "'{}' is not a certification authority, or may not sign certificates or so long a path",
        "'{}' sertifika makamı değil ya da bu uzunlukta bir zincir imzalayamaz",
    ),
    (
        "'{}' has a critical extension that is not understood",
        "'{}' sertifikasında anlaşılmayan kritik bir uzantı var",
    ),
    (
        "'{}' may not be used for {}",
        "'{}' sertifikası {} için kullanılamaz",
    ),
    ("signing", "imzalama"),
    ("time-stamping", "zaman damgası"),
    (
        "'{}' is not one of the pinned certificates",
        "'{}' önceden bildirilmiş sertifikalardan değil",
    ),
    (
        "the signature of the issuer on '{}' does not verify",
        "'{}' sertifikasındaki makam imzası doğrulanmıyor",
    ),
    // cms::signed, cms::der
    (
        "the SignedData is larger than {} octets",
        "imza verisi {} sekizliden büyük",
    ),
    (
        "the signature does not follow the profile: {}",
        "imza kabul edilen biçimde değil: {}",
    ),
    (
        "the content is not what was signed",
        "içerik imzalanan içerik değil",
    ),
    (
        "the signature needs the {} digest of the content",
        "imza, içeriğin {} özetini gerektiriyor",
    ),
    (
        "the signing-certificate attribute does not match the signer's certificate",
        "imzadaki sertifika bilgisi imzalayanın sertifikasıyla uyuşmuyor",
    ),
    ("the signature value does not verify", "imza değeri doğrulanmıyor"),
    ("not the expected DER: {}", "beklenen DER yapısı değil: {}"),
    ("SignedData version", "SignedData sürümü"),
    (
        "an attribute stands twice, or too many",
        "bir öznitelik iki kez geçiyor ya da çok fazla öznitelik var",
    ),
    ("contentType", "contentType (içerik türü) uygun değil"),
    ("no contentType", "contentType (içerik türü) yok"),
    ("no messageDigest", "messageDigest (içerik özeti) yok"),
    (
        "no signing-certificate attribute",
        "imzalayanın sertifikasını bağlayan öznitelik yok",
    ),
    ("not SignedData", "SignedData değil"),
    (
        "not a detached signature over id-data",
        "ayrık (içeriksiz) bir imza değil",
    ),
    ("not a time-stamp token", "zaman damgası değil"),
    ("signer identifier", "imzalayan tanımlayıcısı uygun değil"),
    (
        "the digest algorithm is not announced",
        "özet algoritması bildirilmemiş",
    ),
    (
        "the signer's certificate is not in the signature",
        "imzalayanın sertifikası imzanın içinde değil",
    ),
    ("too many certificates", "çok fazla sertifika"),
    ("two digest algorithms", "iki ayrı özet algoritması"),
    // cms::tsp
    ("the time-stamp token: {}", "zaman damgası: {}"),
    (
        "the time-stamp authority refused (status {}): {}",
        "zaman damgası makamı reddetti (durum {}): {}",
    ),
    (
        "the time-stamp is over other data",
        "zaman damgası başka bir veriye ait",
    ),
    (
        "the nonce of the time-stamp is not the one that was sent",
        "zaman damgasındaki sayı gönderilen sayı değil",
    ),
    (
        "the policy {} of the time-stamp is not allowed",
        "zaman damgasının {} ilkesi kabul edilmiyor",
    ),
    (
        "the certificate of the time-stamp has not the one critical purpose time-stamping",
        "zaman damgası sertifikasının tek ve kritik amacı zaman damgası değil",
    ),
    (
        "the time of the time-stamp, {}, is implausible at {}",
        "zaman damgasının zamanı ({}) {} anında inandırıcı değil",
    ),
    // cms::ers
    (
        "time-stamp {} of chain {}: {}",
        "{}. zaman damgası ({}. zincir): {}",
    ),
    (
        "the octets are not an evidence record: {}",
        "bu veri bir kanıt kaydı (evidence record) değil: {}",
    ),
    (
        "no object was asked about",
        "hangi nesnenin sorulduğu belirtilmemiş",
    ),
    (
        "object {} is needed, or its {} digest",
        "{}. nesne ya da onun {} özeti gerekli",
    ),
    (
        "the list of digest algorithms is not the one of the chains",
        "özet algoritmalarının listesi zincirlerdekiyle aynı değil",
    ),
    (
        "the imprint is {}, the hash tree {}",
        "damganın özeti {}, özet ağacı {}",
    ),
    (
        "a chain has one digest algorithm; this one began with {}",
        "bir zincirin tek özet algoritması olur; bu zincir {} ile başlıyor",
    ),
    (
        "a digest in the hash tree has the wrong length",
        "özet ağacındaki bir özetin uzunluğu yanlış",
    ),
    (
        "object {} is not what was time-stamped",
        "{}. nesne, zaman damgası vurulan nesne değil",
    ),
    (
        "other objects are in the group too",
        "grupta başka nesneler de var",
    ),
    (
        "it does not cover the time-stamp before it",
        "kendinden önceki zaman damgasını kapsamıyor",
    ),
    (
        "the hash tree does not lead to what was time-stamped",
        "özet ağacı, zaman damgası vurulan özete varmıyor",
    ),
    (
        "its time {} is before that of the time-stamp before it, {}",
        "zamanı ({}) kendinden önceki zaman damgasınınkinden ({}) önce",
    ),
    ("its time {} is in the future", "zamanı ({}) gelecekte"),
    (
        "it is not to be trusted at its time {}: {}",
        "kendi zamanında ({}) güvenilir değil: {}",
    ),
    (
        "its algorithms were no longer fit at its time {}: {}",
        "algoritmaları kendi zamanında ({}) artık uygun değildi: {}",
    ),
    (
        "it was no longer good at {}, when it was still needed: {}",
        "{} anında, kendisine hâlâ ihtiyaç varken, artık geçerli değildi: {}",
    ),
    (
        "more than {} revocation lists and responses, or {} octets of them, are too many",
        "{} adetten ya da {} sekizliden çok iptal listesi ve yanıtı fazladır",
    ),
    // xml
    (
        "the document is refused before parsing: {}",
        "belge, okunmadan reddedildi: {}",
    ),
    (
        "the document is not well-formed XML: {}",
        "belge düzgün bir XML değil: {}",
    ),
    ("the signature does not verify: {}", "imza doğrulanmıyor: {}"),
    (
        "the document is not what was signed",
        "belge, imzalanan belge değil",
    ),
    (
        "the SignedProperties are not what was signed",
        "SignedProperties, imzalananla aynı değil",
    ),
    ("signature value verification failed", "imza değeri doğrulanmıyor"),
    (
        "a reference to what is no character",
        "karakter olmayan bir şeye gönderme (&#...;) var",
    ),
    (
        "a tag is not as XML wants it",
        "bir etiket XML kurallarına uymuyor",
    ),
    (
        "a name that namespaces do not allow",
        "ad alanı kurallarına uymayan bir ad",
    ),
    (
        "a namespace whose name is no absolute URI",
        "adı mutlak bir URI olmayan bir ad alanı",
    ),
    (
        "a default namespace is declared twice",
        "bir öğede varsayılan ad alanı iki kez bildirilmiş",
    ),
    (
        "a comment or an instruction in what is signed",
        "imzalanan bölümde açıklama ya da işleme yönergesi var",
    ),
    (
        "a prefix that stands for no namespace",
        "hiçbir ad alanını göstermeyen bir önek",
    ),
    ("XML declaration", "XML bildirimi"),
    ("a section does not end", "bir bölüm kapanmıyor"),
    ("a tag does not end", "bir etiket kapanmıyor"),
    (
        "an element has too many attributes",
        "bir öğenin çok fazla özniteliği var",
    ),
    ("it has a comment", "içinde açıklama (comment) var"),
    (
        "it has a document type or entity declaration",
        "içinde belge türü ya da varlık tanımı (DOCTYPE) var",
    ),
    ("it has a processing instruction", "içinde işleme yönergesi var"),
    (
        "it has too many or too deep elements",
        "öğeleri çok fazla ya da çok derin",
    ),
    ("it is larger than 1 MiB", "1 MiB'tan büyük"),
    ("it is not UTF-8", "UTF-8 değil"),
    (
        "the XML declaration is not version 1.0, UTF-8",
        "XML bildirimi 1.0 sürümü ve UTF-8 değil",
    ),
    ("KeyInfo points elsewhere", "KeyInfo başka bir yeri gösteriyor"),
    (
        "QualifyingProperties name another signature",
        "QualifyingProperties başka bir imzayı gösteriyor",
    ),
    (
        "SignatureTimeStamp must hold one token",
        "SignatureTimeStamp tek bir damga içermeli",
    ),
    ("SignatureValue is not base64", "SignatureValue base64 değil"),
    ("SignedInfo", "SignedInfo uygun değil"),
    ("SigningTime", "SigningTime uygun değil"),
    (
        "SigningCertificateV2 names no certificate of KeyInfo",
        "SigningCertificateV2, KeyInfo içindeki bir sertifikayı göstermiyor",
    ),
    (
        "a namespace that is not a plain URI",
        "ad alanı düz bir URI değil",
    ),
    (
        "a part of the signature is missing or stands twice",
        "imzanın bir parçası eksik ya da iki kez geçiyor",
    ),
    (
        "a reference has other parts than are allowed",
        "bir referansta izin verilmeyen parçalar var",
    ),
    (
        "a reference must be to the whole document",
        "referans belgenin tamamını göstermeli",
    ),
    ("a reference without URI", "bir referansın URI'si yok"),
    ("a transform that is not allowed", "izin verilmeyen bir dönüşüm"),
    ("an Id stands twice", "bir Id iki kez geçiyor"),
    (
        "an algorithm or parameter that is not allowed",
        "izin verilmeyen bir algoritma ya da parametre",
    ),
    (
        "an element that must hold one text",
        "tek bir metin içermesi gereken bir öğe",
    ),
    (
        "attributes of SignatureValue",
        "SignatureValue öznitelikleri uygun değil",
    ),
    ("base64", "base64 değil"),
    (
        "ds:Object must hold the QualifyingProperties alone",
        "ds:Object yalnız QualifyingProperties içermeli",
    ),
    ("no Cert", "Cert yok"),
    ("no SigningCertificateV2", "SigningCertificateV2 yok"),
    ("no certificate", "sertifika yok"),
    (
        "one reference must be to the SignedProperties",
        "referanslardan biri SignedProperties'i göstermeli",
    ),
    (
        "something stands behind the root element",
        "kök öğenin arkasında bir şey var",
    ),
    (
        "text between the elements of the signature",
        "imzanın öğeleri arasında metin var",
    ),
    (
        "the SignedProperties of this signature are not referenced",
        "bu imzanın SignedProperties bölümü kapsanmıyor",
    ),
    (
        "the canonicalisation of the time-stamp is not allowed",
        "zaman damgasının kurallı biçimi kabul edilmiyor",
    ),
    (
        "the digest algorithm is not allowed",
        "özet algoritması kabul edilmiyor",
    ),
    (
        "the document has a signature already",
        "belgede zaten bir imza var",
    ),
    (
        "the document names its own digest",
        "belge kendi özetini içeriyor",
    ),
    (
        "the document's transforms are not allowed",
        "belgenin dönüşümleri kabul edilmiyor",
    ),
    (
        "the references that were verified are not those expected",
        "doğrulanan referanslar beklenenler değil",
    ),
    ("the root element is empty", "kök öğe boş"),
    (
        "the signature algorithm is not allowed",
        "imza algoritması kabul edilmiyor",
    ),
    ("the signature has no Id", "imzanın Id'si yok"),
    (
        "the signature has other parts than are allowed",
        "imzada izin verilmeyen parçalar var",
    ),
    (
        "the signature must be the last child of the root",
        "imza, kök öğenin son parçası olmalı",
    ),
    (
        "the transforms of SignedProperties are not allowed",
        "SignedProperties dönüşümleri kabul edilmiyor",
    ),
    ("there must be exactly one signature", "tam bir imza bulunmalı"),
    (
        "there must be exactly two references",
        "tam iki referans bulunmalı",
    ),
    ("too many time-stamps", "çok fazla zaman damgası"),
    (
        "embedded values of one kind stand twice",
        "aynı türden gömülü değerler iki kez geçiyor",
    ),
    ("too many embedded values", "çok fazla gömülü değer"),
    (
        "the embedded values hold other parts than are allowed",
        "gömülü değerlerde izin verilenlerden başka parçalar var",
    ),
    (
        "values are embedded behind a time-stamp only",
        "değerler yalnız zaman damgasından sonra gömülür",
    ),
    ("there are no values to embed", "gömülecek değer yok"),
    (
        "with its values the document would be too large",
        "belge, değerleriyle birlikte fazla büyük olurdu",
    ),
    ("the unsigned properties are empty", "imzalanmamış özellikler boş"),
    ("too many revocation values", "çok fazla iptal bilgisi"),
    (
        "xml: attributes above a time-stamped signature",
        "damgalı imzanın üstünde xml: öznitelikleri var",
    ),
    (
        "the signed attributes are not in DER order",
        "imzalanan öznitelikler DER sırasında değil",
    ),
    (
        "the time-stamp has a critical extension that is not understood",
        "zaman damgasında anlaşılmayan kritik bir uzantı var",
    ),
    (
        "the time-stamp names another authority than its signer",
        "zaman damgası, imzalayanından başka bir makamı gösteriyor",
    ),
    (
        "it begins with a byte order mark",
        "bayt sırası imiyle (BOM) başlıyor",
    ),
    ("it has a control character", "içinde denetim karakteri var"),
    (
        "too many namespaces are in scope",
        "aynı anda geçerli ad alanları çok fazla",
    ),
    ("an Id that is no plain name", "düz bir ad olmayan bir Id"),
    (
        "an RSA signature of less than 2048 bits",
        "2048 bitten kısa bir RSA imzası",
    ),
    (
        "more than one signing-certificate property",
        "imzalayanın sertifikasını gösteren birden fazla özellik",
    ),
    (
        "the signature value has not the length that its key gives",
        "imza değerinin uzunluğu anahtarınınkine uymuyor",
    ),
    (
        "the signer's key is neither ECDSA P-256, P-384 nor RSA",
        "imzalayanın anahtarı ECDSA P-256, P-384 veya RSA değil",
    ),
    // xml::foreign
    (
        "it has a comment, which no signature covers",
        "hiçbir imzanın kapsamadığı bir açıklama (comment) var",
    ),
    ("it has no signature", "imza yok"),
    ("it has {} signatures", "{} imza var"),
    (
        "the signature does not stand right below the root",
        "imza kök öğenin hemen altında değil",
    ),
    ("the signature algorithm is {}", "imza algoritması: {}"),
    ("a digest algorithm is {}", "özet algoritması: {}"),
    (
        "RSA with SHA-1, which is no longer secure",
        "SHA-1 ile RSA; artık güvenli değil",
    ),
    ("SHA-1, which is no longer secure", "SHA-1; artık güvenli değil"),
    ("MD5, which is broken", "MD5; kırılmış"),
    ("RSA with MD5, which is broken", "MD5 ile RSA; kırılmış"),
    (
        "DSA with SHA-1, which is no longer secure",
        "SHA-1 ile DSA; artık güvenli değil",
    ),
    (
        "HMAC, which anybody with the key can make",
        "HMAC; anahtarı bilen herkes üretebilir",
    ),
    ("inclusive C14N", "kapsayıcı C14N"),
    (
        "it is not canonicalised by exclusive C14N",
        "ayrıcalıklı (exclusive) C14N ile kurallı biçime getirilmemiş",
    ),
    ("it carries no certificate", "sertifika içermiyor"),
    (
        "it has {} references where two belong",
        "iki olması gerekirken {} referansı var",
    ),
    (
        "no reference covers the SignedProperties",
        "SignedProperties hiçbir referansın kapsamında değil",
    ),
    (
        "a reference is to something outside: {}",
        "bir referans belgenin dışını gösteriyor: {}",
    ),
    ("a transform is {}", "bir dönüşüm: {}"),
    (
        "it is a plain XML signature, not XAdES",
        "düz bir XML imzası; XAdES değil",
    ),
    (
        "it does not name the signing certificate",
        "imzalayanın sertifikasını belirtmiyor",
    ),
    (
        "the element that names the signing certificate is empty",
        "imzalayanın sertifikasını belirten öğe boş",
    ),
    (
        "its value would hold for the certificate that came along",
        "imza değeri, birlikte gelen sertifikayla hesaplandığında tutuyor",
    ),
    (
        "the document is not the one that was signed",
        "belge, imzalanan belge değil",
    ),
    (
        "its value is not one of the certificate that came along",
        "imza değeri, birlikte gelen sertifikanın imzası değil",
    ),
    ("its value was not worked out: {}", "imza değeri hesaplanmadı: {}"),
    (
        "it refers to something outside, or transforms in a way that is not computed",
        "belgenin dışını gösteriyor ya da hesaplanmayan bir dönüşüm içeriyor",
    ),
    ("there are several", "birden fazla var"),
    ("its certificate cannot be read", "sertifikası okunamıyor"),
    (
        "an algorithm of it is not computed here",
        "algoritmalarından biri burada hesaplanmıyor",
    ),
    // rem::open
    (
        "the message is not multipart/signed",
        "ileti multipart/signed değil",
    ),
    (
        "the signed message does not have exactly two parts",
        "imzalı iletinin tam iki parçası yok",
    ),
    (
        "the second part is not an S/MIME signature",
        "ikinci parça S/MIME imzası değil",
    ),
    (
        "the signed part is not multipart/mixed",
        "imzalanan parça multipart/mixed değil",
    ),
    ("the envelope holds no evidence", "zarfta delil yok"),
    (
        "the envelope holds more evidence than {}",
        "zarfta {} delilden fazlası var",
    ),
    ("the {} is too large", "{} çok büyük"),
    (
        "the envelope is called a dispatch but holds no original",
        "zarf KEP iletisi olduğunu söylüyor, ama özgün ileti yok",
    ),
    (
        "the envelope holds more than one original",
        "zarfta birden fazla özgün ileti var",
    ),
    (
        "the original is encoded, so its octets are not those that were sent",
        "özgün ileti kodlanmış; sekizlileri gönderilenler değil",
    ),
    (
        "the envelope's own headers exceed a bound",
        "zarfın başlıkları bir sınırı aşıyor",
    ),
    ("the octets of the {} could not be read", "{} okunamadı"),
    // rem::schema
    (
        "the root element {} is not an evidence of TS 102 640-2",
        "kök öğe {} bir TS 102 640-2 delili değil",
    ),
    ("{} holds elements", "{} içinde öğe var"),
    (
        "{} holds text between its elements",
        "{} öğeleri arasında metin var",
    ),
    ("{} is empty", "{} boş"),
    (
        "{} has a foreign attribute {}",
        "{} içinde yabancı öznitelik var: {}",
    ),
    (
        "{} has an attribute {}, which is not allowed",
        "{} içinde izin verilmeyen öznitelik var: {}",
    ),
    ("{} lacks its attribute {}", "{} öğesinin {} özniteliği eksik"),
    ("the Id {} occurs twice", "{} Id'si iki kez geçiyor"),
    ("{}: expected {} before {}", "{}: {} bekleniyordu, {} geldi"),
    ("{}: {} is not allowed at this place", "{}: {} burada bulunamaz"),
    ("the value of {} is not {}", "{} değeri uygun değil: {} olmalı"),
    (
        "a name that may be an ID (it must not begin with a digit)",
        "ID olabilecek bir ad (rakamla başlayamaz)",
    ),
    ("the document is not UTF-8", "belge UTF-8 değil"),
    ("the document is not XML: {}", "belge XML değil: {}"),
    (
        "the document has more than {} octets",
        "belge {} sekizliden büyük",
    ),
];
