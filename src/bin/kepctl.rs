//! The administrator's tool; everything is in `kepd::kepctl`.

fn main() -> std::process::ExitCode {
    kepd::kepctl::run()
}
