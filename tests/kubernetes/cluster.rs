//! A cluster with a node, and what a user does to it: kubectl, helm.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Gone, with all its data, when dropped.
pub struct Cluster {
    name: String,
    /// This machine as pods see it.
    pub host: String,
    kubeconfig: PathBuf,
    kubectl: PathBuf,
    helm: PathBuf,
    started: Instant,
}

pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn script(arguments: &[&str]) -> Output {
    Command::new(project("e2e/cluster/cluster.sh")).args(arguments).stderr(Stdio::inherit()).output().unwrap()
}

/// What a script or a tool printed.
#[track_caller]
fn printed(output: Output, what: &str) -> String {
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{what}: {}\n{out}{}", output.status, String::from_utf8_lossy(&output.stderr));
    out
}

impl Cluster {
    pub fn start() -> Self {
        let name = format!("kubernetes-{}", std::process::id());
        let line = printed(script(&["up", &name, "node"]), "cluster.sh up");
        let line: Value = serde_json::from_str(&line).unwrap();
        let text = |field: &str| line[field].as_str().unwrap().to_owned();
        Self {
            name,
            host: text("hostAddress"),
            kubeconfig: text("kubeconfig").into(),
            kubectl: text("kubectl").into(),
            helm: text("helm").into(),
            started: Instant::now(),
        }
    }

    /// Builds the image, unless it is given, and loads it into the node. Its name.
    pub fn load_image(&self) -> String {
        let archive = std::env::var_os("GODWIT_TEST_IMAGE").map_or_else(build_image, PathBuf::from);
        self.step("the image");
        printed(script(&["load", &self.name, archive.to_str().unwrap()]), "cluster.sh load");
        // The name that the chart installs, so that nobody has to set it.
        concat!("localhost/godwit:", env!("CARGO_PKG_VERSION")).to_owned()
    }

    /// Says what happens next, and when.
    pub fn step(&self, what: &str) {
        println!("\n[{:5.1} s] {what}", self.started.elapsed().as_secs_f64());
    }

    fn tool(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env("KUBECONFIG", &self.kubeconfig).stdin(Stdio::null());
        command
    }

    pub fn try_kubectl(&self, arguments: &[&str]) -> Option<String> {
        let output = self.tool(&self.kubectl, arguments).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    #[track_caller]
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        printed(self.tool(&self.kubectl, arguments).output().unwrap(), &format!("kubectl {}", arguments.join(" ")))
    }

    #[track_caller]
    pub fn helm(&self, arguments: &[&str]) -> String {
        printed(self.tool(&self.helm, arguments).output().unwrap(), &format!("helm {}", arguments.join(" ")))
    }

    /// As a user sees it.
    #[track_caller]
    pub fn show(&self, arguments: &[&str]) -> String {
        let out = self.kubectl(arguments);
        println!("$ kubectl {}\n{}", arguments.join(" "), out.trim_end());
        out
    }

    #[track_caller]
    pub fn apply(&self, manifest: &str) {
        let mut command = self.tool(&self.kubectl, &["apply", "-f", "-"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
        printed(child.wait_with_output().unwrap(), "kubectl apply");
    }

    /// Null when it is not there.
    pub fn get(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["get", "-o", "json", "--ignore-not-found"];
        all.extend(arguments);
        serde_json::from_str(&self.kubectl(&all)).unwrap_or(Value::Null)
    }

    /// Waits until the object is as wanted; everything there is to know about it otherwise.
    pub async fn until(&self, what: &str, object: &[&str], seconds: u64, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        loop {
            let seen = self.get(object);
            if wanted(&seen) {
                return seen;
            }
            if Instant::now() > deadline {
                self.explain();
                panic!("not within {seconds} s: {what}; the object is {seen:#}");
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// What a person would look at when something is wrong.
    pub fn explain(&self) {
        for arguments in [
            &["get", "mt,dc,pods", "-A", "-o", "wide"][..],
            &["get", "events", "-A", "--sort-by=.lastTimestamp"],
            &["logs", "-n", "godwit-system", "-l", "app.kubernetes.io/name=godwit", "--tail=60"],
            &["logs", "-n", "data", "-l", "godwit.dev/task", "--tail=60"],
        ] {
            println!("$ kubectl {}", arguments.join(" "));
            println!("{}", self.try_kubectl(arguments).unwrap_or_else(|| "(failed)".into()));
        }
    }
}

fn build_image() -> PathBuf {
    let mut command = Command::new(project("image/build.sh"));
    // Those of the test's own build are no business of the image's.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO_") || name == "RUSTFLAGS") {
        if !["CARGO_HOME", "CARGO_TARGET_DIR"].contains(&name.as_str()) {
            command.env_remove(name);
        }
    }
    let line = printed(command.stderr(Stdio::inherit()).output().unwrap(), "image/build.sh");
    println!("{line}");
    let line: Value = serde_json::from_str(&line).unwrap();
    assert!(line["size"].as_u64().unwrap() < 25 << 20, "the image has grown: {line}");
    line["archive"].as_str().unwrap().into()
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::env::var_os("GODWIT_TEST_KEEP").is_none() {
            script(&["down", &self.name]);
        }
    }
}
