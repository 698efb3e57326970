//! One thing as an answer shows it: named values in order.

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::fmt;

/// A JSON object that keeps its order, so that columns stand as they were written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Record(Vec<(String, Value)>);

impl Record {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }

    /// With a value in its text form.
    pub fn text(self, name: &str, value: impl fmt::Display) -> Self {
        self.with(name, value.to_string())
    }

    pub fn entries(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub fn value(&self, name: &str) -> Option<&Value> {
        self.entries().find(|(n, _)| *n == name).map(|(_, value)| value)
    }
}

/// Within another record.
impl From<Record> for Value {
    fn from(record: Record) -> Self {
        Value::Object(record.0.into_iter().collect())
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Record;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
                let mut record = Record::new();
                while let Some(entry) = map.next_entry()? {
                    record.0.push(entry);
                }
                Ok(record)
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}
