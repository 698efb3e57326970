//! `kepd demo`: two providers in one process, and the whole road on a real message over real sockets.
//!
//! It sets everything up through the control sockets, as an administrator would, and walks the road as users would:
//! over SMTP and IMAP with TLS. Nothing here reaches into a provider; what it shows is what the outside sees.

mod mail;
mod provider;
mod road;
mod settings;
mod wire;

use anyhow::Context as _;
use provider::DemoProvider;
use road::Road;
use serde::Serialize;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// What `kepd demo` was asked.
#[derive(Debug, Clone)]
pub struct Options {
    /// Leave when the road is walked.
    pub exit: bool,
    /// Where to keep everything; a fresh temporary folder when not given.
    pub data: Option<PathBuf>,
    /// Where to export to; `DATA/out` when not given.
    pub out: Option<PathBuf>,
    /// One JSON object per step, and nothing else on standard output.
    pub json: bool,
    /// So many natural persons more at each provider.
    pub accounts: u32,
}

/// One step of the road, as it is shown.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    pub step: u32,
    pub name: &'static str,
    pub ok: bool,
    pub detail: String,
    /// Milliseconds since the demo began.
    pub at_ms: u64,
}

/// Where steps are shown.
struct Show {
    json: bool,
    steps: Vec<Step>,
    began: tokio::time::Instant,
}

impl Show {
    fn step(&mut self, step: u32, name: &'static str, ok: bool, detail: impl Into<String>) {
        let at_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let step = Step {
            step,
            name,
            ok,
            detail: detail.into(),
            at_ms,
        };
        if self.json {
            if let Ok(line) = serde_json::to_string(&step) {
                println!("{line}");
            }
        } else {
            let mark = if ok { "ok  " } else { "FAIL" };
            println!(
                "{:>6} ms  {mark} {}. {:<28} {}",
                step.at_ms, step.step, step.name, step.detail
            );
        }
        self.steps.push(step);
    }

    /// The closing table.
    fn close(&self) {
        if self.json {
            return;
        }
        let mut table = comfy_table::Table::new();
        table.set_header(["step", "what", "ok", "ms"]);
        for step in &self.steps {
            let ok = if step.ok { "yes" } else { "NO" };
            table.add_row([
                step.step.to_string(),
                step.name.to_owned(),
                ok.to_owned(),
                step.at_ms.to_string(),
            ]);
        }
        println!("\n{table}");
    }
}

/// Walks the road. An error means that a check did not hold, or that something could not be set up.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let data = match &options.data {
        Some(data) => data.clone(),
        None => fresh_folder()?,
    };
    let out = options.out.clone().unwrap_or_else(|| data.join("out"));
    let mut show = Show {
        json: options.json,
        steps: Vec::new(),
        began: tokio::time::Instant::now(),
    };
    if !options.json {
        println!("kepd demo: everything is in {}\n", data.display());
    }
    let hs01 = DemoProvider::open("hs01.kep.test", &data.join("hs01")).await?;
    let hs02 = DemoProvider::open("hs02.kep.test", &data.join("hs02")).await?;
    let walked = walk(&hs01, &hs02, &out, &options, &mut show).await;
    if let Err(why) = &walked {
        show.step(
            show.steps.last().map_or(0, |s| s.step),
            "stopped",
            false,
            format!("{why:#}"),
        );
    }
    show.close();
    let held = walked.is_ok() && show.steps.iter().all(|s| s.ok);
    if !options.exit {
        if !options.json {
            settings::print(&[&hs01, &hs02], &data);
        }
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted.context("waiting for Ctrl-C")?,
            _ = terminate.recv() => {}
        }
    }
    hs01.close().await;
    hs02.close().await;
    anyhow::ensure!(held, "not every check held; see the steps above");
    Ok(())
}

async fn walk(
    hs01: &DemoProvider,
    hs02: &DemoProvider,
    out: &std::path::Path,
    options: &Options,
    show: &mut Show,
) -> anyhow::Result<()> {
    hs01.introduce(hs02).await?;
    hs02.introduce(hs01).await?;
    let road = Road { hs01, hs02, out };
    road.walk(show).await?;
    if options.accounts > 0 {
        for provider in [hs01, hs02] {
            provider.add_persons(options.accounts).await?;
        }
        show.step(
            8,
            "accounts",
            true,
            format!("{} natural persons at each provider", options.accounts),
        );
    }
    hs01.write_credentials()?;
    hs02.write_credentials()
}

/// A new folder under the system's folder for temporary files.
fn fresh_folder() -> anyhow::Result<PathBuf> {
    let name = format!("kepd-demo-{}", crate::id::MailId::fresh(&crate::id::SystemIds));
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    Ok(folder)
}
