//! The keys that seal: where they lie, which comes next, and whether dispatches have one of their own.

use super::value::Moment;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What a key in a token is named by (RFC 7512); such a name is no path.
const TOKEN: &str = "pkcs11:";
/// Where its PIN lies: the one path in it.
const PIN_SOURCE: &str = "pin-source=";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Seal {
    /// Leaf first, without the root.
    pub certificate: PathBuf,
    /// A file, or a `pkcs11:` URI.
    pub key: PathBuf,
    /// Anchors and intermediates by which others, and an export bundle, check our seal.
    pub trust: PathBuf,
    /// A file or folder of those that are in use no more: what was sealed under them is still checked.
    pub trust_past: Option<PathBuf>,
    pub signing: Signing,
    pub next: Option<NextPair>,
    /// None: dispatches are sealed as evidence is.
    pub dispatch: Option<DispatchSeal>,
}

impl Default for Seal {
    fn default() -> Self {
        Self {
            certificate: "pki/seal.pem".into(),
            key: "pki/seal.key".into(),
            trust: "pki/ca.pem".into(),
            trust_past: None,
            signing: Signing::default(),
            next: None,
            dispatch: None,
        }
    }
}

/// How a key signs; what is left out, the key decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Signing {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<SealDigest>,
    pub rsa_padding: RsaPadding,
}

/// By the names of `config/algorithms.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SealDigest {
    #[serde(rename = "SHA-256")]
    Sha256,
    #[serde(rename = "SHA-384")]
    Sha384,
    #[serde(rename = "SHA-512")]
    Sha512,
}

/// Of no concern to keys on curves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RsaPadding {
    #[default]
    Pkcs1,
    Pss,
}

/// A certificate and key that seal from a moment on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NextPair {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub from: Moment,
    #[serde(default)]
    pub signing: Signing,
}

/// What seals dispatches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DispatchSeal {
    pub certificate: PathBuf,
    pub key: PathBuf,
    #[serde(default)]
    pub signing: Signing,
    pub next: Option<NextPair>,
}

impl Seal {
    pub(super) fn paths(&mut self) -> Vec<&mut PathBuf> {
        let mut paths = vec![&mut self.certificate, &mut self.key, &mut self.trust];
        let mut nexts = vec![&mut self.next];
        if let Some(dispatch) = &mut self.dispatch {
            paths.extend([&mut dispatch.certificate, &mut dispatch.key]);
            nexts.push(&mut dispatch.next);
        }
        for next in nexts.into_iter().flatten() {
            paths.extend([&mut next.certificate, &mut next.key]);
        }
        paths.extend(&mut self.trust_past);
        paths
    }

    /// All keys are set: for the test that holds the sample against the code.
    #[cfg(test)]
    pub(super) fn full() -> Self {
        let signing = Signing {
            digest: Some(SealDigest::Sha512),
            rsa_padding: RsaPadding::Pss,
        };
        let next = NextPair {
            certificate: "c".into(),
            key: "k".into(),
            signing,
            from: "2027-01-01T00:00:00Z".parse().unwrap(),
        };
        Self {
            trust_past: Some("pki/past".into()),
            signing,
            next: Some(next.clone()),
            dispatch: Some(DispatchSeal {
                certificate: "c".into(),
                key: "k".into(),
                signing,
                next: Some(next),
            }),
            ..Self::default()
        }
    }
}

/// The URI of a key in a token with its `pin-source` placed as a path of the configuration is; None when it is no URI.
pub(super) fn place_uri(
    key: &Path,
    place: impl FnOnce(&mut PathBuf) -> Result<(), String>,
) -> Option<Result<PathBuf, String>> {
    let text = key.to_str().filter(|text| text.starts_with(TOKEN))?;
    let Some((before, rest)) = text.split_once(PIN_SOURCE) else {
        return Some(Ok(key.to_owned()));
    };
    let (source, after) = rest.split_at(rest.find('&').unwrap_or(rest.len()));
    let source = source.strip_prefix("file:").unwrap_or(source);
    // A command or a URL is refused by whoever reads the URI.
    if source.starts_with("//") || source.starts_with('|') || source.contains("://") {
        return Some(Ok(key.to_owned()));
    }
    let mut path = PathBuf::from(source);
    Some(place(&mut path).map(|()| {
        let placed = path.to_string_lossy();
        // What was written in the URI is escaped already; what came before it may not be.
        let placed = match placed.strip_suffix(source) {
            Some(folder) => escaped(folder) + source,
            None => escaped(&placed),
        };
        format!("{before}{PIN_SOURCE}file:{placed}{after}").into()
    }))
}

fn escaped(path: &str) -> String {
    let plain =
        |o: u8| o.is_ascii_alphanumeric() || matches!(o, b'/' | b'-' | b'.' | b'_' | b'~' | b'@' | b':');
    path.bytes()
        .map(|o| {
            if plain(o) {
                char::from(o).to_string()
            } else {
                format!("%{o:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pin_of_a_token_lies_where_other_files_do() {
        let put = |uri: &str| {
            let place = |path: &mut PathBuf| {
                *path = match path.strip_prefix("$CREDENTIALS_DIRECTORY") {
                    Ok(rest) => Path::new("/run/cred").join(rest),
                    Err(_) => Path::new("/etc/k epd").join(&*path),
                };
                Ok(())
            };
            place_uri(Path::new(uri), place).map(|placed| placed.unwrap().display().to_string())
        };
        assert_eq!(put("pki/seal.key"), None);
        for (uri, placed) in [
            ("pkcs11:token=a;object=b", "pkcs11:token=a;object=b"),
            (
                "pkcs11:token=a?pin-source=file:p%20q&module-path=/m",
                "pkcs11:token=a?pin-source=file:/etc/k%20epd/p%20q&module-path=/m",
            ),
            (
                "pkcs11:token=a?module-path=/m&pin-source=$CREDENTIALS_DIRECTORY/pin",
                "pkcs11:token=a?module-path=/m&pin-source=file:/run/cred/pin",
            ),
            (
                "pkcs11:token=a?pin-source=file:/x/pin",
                "pkcs11:token=a?pin-source=file:/x/pin",
            ),
            ("pkcs11:token=a?pin-source=|ask", "pkcs11:token=a?pin-source=|ask"),
        ] {
            assert_eq!(put(uri).as_deref(), Some(placed), "{uri}");
        }
    }
}
