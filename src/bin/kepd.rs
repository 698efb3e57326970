//! The daemon's command: what is typed, and which room does it.

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use kepd::address::Domain;
use kepd::clock::{Clock as _, SystemClock};
use kepd::config::Config;
use kepd::init::{NewProvider, Ports};
use std::path::PathBuf;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Rows in memory are small and many, and read by the thousand: this allocator lays those of one size side by side
/// (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(
    name = "kepd",
    version,
    about = "An open server for registered electronic mail (KEP)"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a provider's folder: kepd.toml, certificates for development
    Init {
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        #[arg(long)]
        domain: Domain,
        /// The provider's name as it stands in evidence; the domain when left out
        #[arg(long)]
        name: Option<String>,
        #[arg(long, value_enum, default_value_t)]
        ports: Ports,
    },
    /// Say what a configuration means, and whether its files hold together
    Check {
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Run
    Serve {
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Two providers in one process, and the whole road on a real message
    Demo(Demo),
}

#[derive(Debug, clap::Args)]
struct Demo {
    /// Leave when the road is walked; status 0 only if every check held
    #[arg(long)]
    exit: bool,
    /// Where to keep everything; a fresh temporary folder when left out
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where to export to; DATA/out when left out
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// One JSON object per step on standard output, and nothing else
    #[arg(long)]
    json: bool,
    /// Also make so many natural persons at each provider
    #[arg(long, value_name = "N", default_value_t = 0)]
    accounts: u32,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // The demo shows its steps itself; the log would only stand between them.
    let level = if matches!(cli.command, Command::Demo(_)) {
        "warn"
    } else {
        "info"
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match obey(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("kepd: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn obey(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Init {
            data,
            domain,
            name,
            ports,
        } => {
            let name = name.unwrap_or_else(|| domain.to_string());
            let new = NewProvider { domain, name, ports };
            kepd::init::init(&data, &new, SystemClock.now())?;
            println!("{} is ready; start it with:", data.display());
            println!("  kepd serve --config {}", data.join("kepd.toml").display());
            Ok(())
        }
        Command::Check { config } => {
            let config = Config::load(&config)?;
            print!("{}", kepd::check::check(&config, SystemClock.now())?);
            Ok(())
        }
        Command::Serve { config: path } => {
            let config = Config::load(&path)?;
            runtime()?.block_on(kepd::daemon::serve(config, &path))
        }
        Command::Demo(demo) => runtime()?.block_on(kepd::demo::run(kepd::demo::Options {
            exit: demo.exit,
            data: demo.data,
            out: demo.out,
            json: demo.json,
            accounts: demo.accounts,
        })),
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().build().context("the runtime cannot be made")
}
