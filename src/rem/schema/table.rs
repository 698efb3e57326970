//! TS 102 640-2 as a table: one constant per type of the schema, in its order.

use super::value::Value;
use crate::rem::{DS_NS, REM_NS, SAML_NS, TSL_NS, XADES_NS};

/// What an element may hold.
pub(super) enum Type {
    /// Child elements in order, no text.
    Sequence(&'static [Item], &'static [Attribute]),
    /// Text of a kind, no child elements.
    Text(Value, &'static [Attribute]),
    /// Anything.
    Open(&'static [Attribute]),
}

/// An attribute without namespace (or `xml:lang`), its kind, and whether it must be there.
pub(super) struct Attribute(pub(super) &'static str, pub(super) Value, pub(super) bool);

/// Elements that may stand at this place, how often.
pub(super) struct Item {
    pub(super) choice: &'static [(&'static str, &'static str, &'static Type)],
    pub(super) min: usize,
    pub(super) max: usize,
}

const MANY: usize = usize::MAX;

const fn one(choice: &'static [(&'static str, &'static str, &'static Type)]) -> Item {
    Item {
        choice,
        min: 1,
        max: 1,
    }
}

const fn maybe(choice: &'static [(&'static str, &'static str, &'static Type)]) -> Item {
    Item {
        choice,
        min: 0,
        max: 1,
    }
}

const fn some(choice: &'static [(&'static str, &'static str, &'static Type)]) -> Item {
    Item {
        choice,
        min: 1,
        max: MANY,
    }
}

const ID: Attribute = Attribute("Id", Value::NcName, false);
const LANG: Attribute = Attribute("xml:lang", Value::Language, false);

static STRING: Type = Type::Text(Value::Any, &[]);
static NON_EMPTY: Type = Type::Text(Value::NonEmpty, &[]);
static URI: Type = Type::Text(Value::Uri, &[]);
static NON_EMPTY_URI: Type = Type::Text(Value::NonEmptyUri, &[]);
static DATE_TIME: Type = Type::Text(Value::DateTime, &[]);
static INTEGER: Type = Type::Text(Value::Integer, &[]);
static INTEGERS: Type = Type::Text(Value::Integers, &[]);
static BASE64: Type = Type::Text(Value::Base64, &[]);
static SIGNATURE_VALUE: Type = Type::Text(Value::Base64, &[ID]);
static ANY: Type = Type::Open(&[]);
static ALGORITHM: Type = Type::Open(&[Attribute("Algorithm", Value::Uri, true)]);

pub(super) static EVIDENCE: Type = Type::Sequence(
    &[
        maybe(&[(REM_NS, "EventCode", &URI)]),
        maybe(&[(REM_NS, "EventReasons", &EVENT_REASONS)]),
        one(&[(REM_NS, "EvidenceIdentifier", &STRING)]),
        maybe(&[(REM_NS, "EvidenceIssuerPolicyID", &POLICY_IDS)]),
        one(&[(REM_NS, "EvidenceIssuerDetails", &ENTITY)]),
        maybe(&[(REM_NS, "SenderAuthenticationDetails", &AUTHENTICATION)]),
        maybe(&[(REM_NS, "RecipientAuthenticationDetails", &AUTHENTICATION)]),
        one(&[(REM_NS, "EventTime", &DATE_TIME)]),
        maybe(&[(REM_NS, "SubmissionTime", &DATE_TIME)]),
        maybe(&[(REM_NS, "ReplyTo", &STRING), (REM_NS, "ReplyToAddress", &ADDRESS)]),
        one(&[(REM_NS, "SenderDetails", &ENTITY)]),
        one(&[(REM_NS, "RecipientsDetails", &ENTITIES)]),
        maybe(&[(REM_NS, "RecipientsDelegatesDetails", &DELEGATES)]),
        maybe(&[(REM_NS, "EvidenceRefersToRecipient", &INTEGER)]),
        maybe(&[(REM_NS, "SenderMessageDetails", &MESSAGE)]),
        maybe(&[(REM_NS, "NotificationMessageDetails", &MESSAGE)]),
        maybe(&[(REM_NS, "ForwardedToExternalSystem", &STRING)]),
        maybe(&[(REM_NS, "TransactionLogInformation", &TRANSACTION_LOGS)]),
        maybe(&[(REM_NS, "Extensions", &EXTENSIONS)]),
        maybe(&[(DS_NS, "Signature", &SIGNATURE)]),
    ],
    &[Attribute("version", Value::Any, true), ID],
);
static EVENT_REASONS: Type = Type::Sequence(&[some(&[(REM_NS, "EventReason", &EVENT_REASON)])], &[]);
static EVENT_REASON: Type = Type::Sequence(
    &[
        one(&[(REM_NS, "Code", &URI)]),
        maybe(&[(REM_NS, "Details", &STRING)]),
    ],
    &[],
);
static POLICY_IDS: Type = Type::Sequence(&[some(&[(REM_NS, "PolicyID", &URI)])], &[]);
static ENTITY: Type = Type::Sequence(
    &[
        maybe(&[(REM_NS, "NamesPostalAddresses", &NAMES_POSTAL)]),
        Item {
            choice: &[
                (REM_NS, "AttributedElectronicAddress", &ADDRESS),
                (TSL_NS, "ElectronicAddress", &TSL_ADDRESS),
            ],
            min: 0,
            max: MANY,
        },
        maybe(&[(REM_NS, "CertificateDetails", &CERTIFICATE)]),
        maybe(&[(XADES_NS, "Any", &ANY)]),
    ],
    &[],
);
static ENTITIES: Type = Type::Sequence(&[some(&[(REM_NS, "EntityDetails", &ENTITY)])], &[]);
static ADDRESS: Type = Type::Text(
    Value::NonEmptyUri,
    &[
        Attribute("scheme", Value::Any, false),
        Attribute("DisplayName", Value::NonEmpty, false),
    ],
);
static TSL_ADDRESS: Type = Type::Sequence(&[some(&[(TSL_NS, "URI", &NON_EMPTY_URI)])], &[]);
static NAMES_POSTAL: Type = Type::Sequence(&[some(&[(REM_NS, "NamePostalAddress", &NAME_POSTAL)])], &[]);
static NAME_POSTAL: Type = Type::Sequence(
    &[
        maybe(&[(REM_NS, "EntityName", &NAME)]),
        maybe(&[(REM_NS, "PostalAddress", &POSTAL)]),
    ],
    &[],
);
static NAME: Type = Type::Sequence(&[some(&[(REM_NS, "Name", &NON_EMPTY)])], &[LANG]);
static POSTAL: Type = Type::Sequence(
    &[
        some(&[(REM_NS, "StreetAddress", &NON_EMPTY)]),
        one(&[(REM_NS, "Locality", &NON_EMPTY)]),
        maybe(&[(REM_NS, "StateOrProvince", &NON_EMPTY)]),
        one(&[(REM_NS, "PostalCode", &NON_EMPTY)]),
        one(&[(REM_NS, "CountryName", &NON_EMPTY)]),
    ],
    &[LANG],
);
static CERTIFICATE: Type = Type::Sequence(
    &[one(&[
        (REM_NS, "X509Certificate", &BASE64),
        (REM_NS, "CertID", &CERT_ID),
        (REM_NS, "CertIDAndSignature", &CERT_ID_SIGNATURE),
    ])],
    &[],
);
static CERT_ID: Type = Type::Sequence(
    &[
        one(&[(XADES_NS, "CertDigest", &DIGEST)]),
        one(&[(XADES_NS, "IssuerSerial", &ISSUER_SERIAL)]),
    ],
    &[Attribute("URI", Value::Uri, false)],
);
static ISSUER_SERIAL: Type = Type::Sequence(
    &[
        one(&[(DS_NS, "X509IssuerName", &STRING)]),
        one(&[(DS_NS, "X509SerialNumber", &INTEGER)]),
    ],
    &[],
);
static CERT_ID_SIGNATURE: Type = Type::Sequence(
    &[
        one(&[(REM_NS, "IssuerSerial", &DIGEST)]),
        one(&[(REM_NS, "tbsCertificateDigestDetails", &DIGEST)]),
        one(&[(REM_NS, "CertSignatureDetails", &CERT_SIGNATURE)]),
    ],
    &[],
);
static CERT_SIGNATURE: Type = Type::Sequence(
    &[
        one(&[(DS_NS, "SignatureMethod", &ALGORITHM)]),
        one(&[(DS_NS, "SignatureValue", &SIGNATURE_VALUE)]),
    ],
    &[],
);
static DIGEST: Type = Type::Sequence(
    &[
        one(&[(DS_NS, "DigestMethod", &ALGORITHM)]),
        one(&[(DS_NS, "DigestValue", &BASE64)]),
    ],
    &[],
);
// The two halves of the choice begin differently; `element` picks by the first child.
pub(super) static AUTHENTICATION: Type = Type::Sequence(
    &[
        one(&[(REM_NS, "AuthenticationTime", &DATE_TIME)]),
        one(&[(REM_NS, "AuthenticationMethod", &URI)]),
        maybe(&[(REM_NS, "AdditionalDetails", &ANY)]),
    ],
    &[],
);
pub(super) static AUTHENTICATION_SAML: Type = Type::Sequence(
    &[
        one(&[(SAML_NS, "Assertion", &ANY)]),
        maybe(&[(REM_NS, "AdditionalDetails", &ANY)]),
    ],
    &[],
);
static MESSAGE: Type = Type::Sequence(
    &[
        one(&[(REM_NS, "MessageSubject", &STRING)]),
        maybe(&[(REM_NS, "UAMessageIdentifier", &STRING)]),
        one(&[(REM_NS, "MessageIdentifierByREMMD", &STRING)]),
        maybe(&[(DS_NS, "DigestMethod", &ALGORITHM)]),
        maybe(&[(DS_NS, "DigestValue", &BASE64)]),
    ],
    &[Attribute("isNotification", Value::Boolean, true)],
);
pub(super) static DELEGATE: [Item; 2] = [
    one(&[(REM_NS, "DelegateDetails", &ENTITY)]),
    one(&[(REM_NS, "DelegatingRecipients", &INTEGERS)]),
];
pub(super) static DELEGATES: Type = Type::Sequence(&DELEGATE, &[]);
static TRANSACTION_LOGS: Type = Type::Sequence(&[some(&[(REM_NS, "TransactionLog", &ANY)])], &[]);
static EXTENSIONS: Type = Type::Sequence(&[some(&[(REM_NS, "Extension", &EXTENSION)])], &[]);
static EXTENSION: Type = Type::Open(&[Attribute("isCritical", Value::Boolean, false)]);
static SIGNATURE: Type = Type::Sequence(
    &[
        one(&[(DS_NS, "SignedInfo", &SIGNED_INFO)]),
        one(&[(DS_NS, "SignatureValue", &SIGNATURE_VALUE)]),
        maybe(&[(DS_NS, "KeyInfo", &ANY)]),
        Item {
            choice: &[(DS_NS, "Object", &ANY)],
            min: 0,
            max: MANY,
        },
    ],
    &[ID],
);
static SIGNED_INFO: Type = Type::Sequence(
    &[
        one(&[(DS_NS, "CanonicalizationMethod", &ALGORITHM)]),
        one(&[(DS_NS, "SignatureMethod", &ALGORITHM)]),
        some(&[(DS_NS, "Reference", &REFERENCE)]),
    ],
    &[ID],
);
static REFERENCE: Type = Type::Sequence(
    &[
        maybe(&[(DS_NS, "Transforms", &TRANSFORMS)]),
        one(&[(DS_NS, "DigestMethod", &ALGORITHM)]),
        one(&[(DS_NS, "DigestValue", &BASE64)]),
    ],
    &[
        ID,
        Attribute("URI", Value::Uri, false),
        Attribute("Type", Value::Uri, false),
    ],
);
static TRANSFORMS: Type = Type::Sequence(&[some(&[(DS_NS, "Transform", &ALGORITHM)])], &[]);
