//! Typed, versioned rows: one octet of version, then postcard.
//!
//! A serialized type is a promise. When a row changes its shape its version goes up, and `upgrade` reads the old one.

use super::db::ROW_MAX_BYTES;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A type that is stored as a row.
pub trait Row: Serialize + DeserializeOwned {
    /// The table's name, for errors.
    const TABLE: &'static str;
    const VERSION: u8;

    /// Reads a row of an older version.
    fn upgrade(version: u8, _octets: &[u8]) -> Result<Self, RowError> {
        Err(RowError::unreadable(
            Self::TABLE,
            format!("it has version {version}, which is not known here"),
        ))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("table \"{table}\": {why}")]
pub struct RowError {
    pub table: &'static str,
    pub why: String,
    /// The row is larger than a row may be: what it was made of is too much, not wrong.
    pub too_large: bool,
}

impl RowError {
    pub fn short(table: &'static str) -> Self {
        Self::unreadable(table, "the row is cut short")
    }

    /// A row that cannot be read or written as it is.
    pub fn unreadable(table: &'static str, why: impl Into<String>) -> Self {
        Self {
            table,
            why: why.into(),
            too_large: false,
        }
    }
}

pub fn encode<R: Row>(row: &R) -> Result<Vec<u8>, RowError> {
    let octets = postcard::to_extend(row, vec![R::VERSION])
        .map_err(|e| RowError::unreadable(R::TABLE, e.to_string()))?;
    if octets.len() > ROW_MAX_BYTES {
        let why = format!(
            "a row of {} octets is larger than the {ROW_MAX_BYTES} a row may have",
            octets.len()
        );
        return Err(RowError {
            table: R::TABLE,
            why,
            too_large: true,
        });
    }
    Ok(octets)
}

pub fn decode<R: Row>(octets: &[u8]) -> Result<R, RowError> {
    let Some((version, rest)) = octets.split_first() else {
        return Err(RowError::short(R::TABLE));
    };
    if *version != R::VERSION {
        return R::upgrade(*version, rest);
    }
    match postcard::take_from_bytes(rest) {
        Ok((row, [])) => Ok(row),
        Ok(_) => Err(RowError::unreadable(R::TABLE, "octets are left over")),
        Err(e) => Err(RowError::unreadable(R::TABLE, e.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct Sample(String, u32);

    impl Row for Sample {
        const TABLE: &'static str = "samples";
        const VERSION: u8 = 2;

        fn upgrade(version: u8, octets: &[u8]) -> Result<Self, RowError> {
            let old: String = postcard::from_bytes(octets).map_err(|_| RowError::short(Self::TABLE))?;
            if version == 1 {
                Ok(Sample(old, 7))
            } else {
                Err(RowError::short(Self::TABLE))
            }
        }
    }

    #[test]
    fn rows_come_back_and_damage_is_told() {
        let row = Sample("İş".into(), 3);
        let octets = encode(&row).unwrap();
        assert_eq!(decode::<Sample>(&octets).unwrap(), row);
        assert!(
            decode::<Sample>(&octets[..octets.len() - 1])
                .unwrap_err()
                .to_string()
                .contains("samples")
        );
        assert!(decode::<Sample>(&[octets.as_slice(), b"x"].concat()).is_err());
        assert!(decode::<Sample>(&[]).is_err());
        assert!(encode(&Sample("x".repeat(ROW_MAX_BYTES), 0)).is_err());
    }

    #[test]
    fn an_old_version_is_upgraded() {
        let old = [vec![1u8], postcard::to_stdvec("eski").unwrap()].concat();
        assert_eq!(decode::<Sample>(&old).unwrap(), Sample("eski".into(), 7));
        assert!(decode::<Sample>(&[9, 0]).is_err());
    }
}
