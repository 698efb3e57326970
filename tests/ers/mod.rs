//! Evidence records over time: twenty simulated years, what goes wrong when a renewal is missing, and judges that are not ours.

mod archive;
pub mod authority;
mod renewals;
pub mod twenty_years;
