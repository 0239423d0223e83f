//! The execution mode of a plugin.

use crate::wire_names;

wire_names! {
    /// Where a plugin does its work. The first five modes are local; all others are cloud.
    ExecutionMode {
        /// In the application's own process.
        InProcess = "in_process",
        /// In a child process.
        Subprocess = "subprocess",
        /// In a container on this host.
        Docker = "docker",
        /// In a separate conda environment.
        CondaEnv = "conda_env",
        /// In a process that the application does not start.
        External = "external",
        /// On another host, by SSH.
        RemoteSsh = "remote_ssh",
        /// On a rented virtual machine.
        CloudVm = "cloud_vm",
        /// In a rented container.
        CloudContainer = "cloud_container",
        /// In a serverless function.
        CloudServerless = "cloud_serverless",
        /// On a rented GPU.
        CloudGpu = "cloud_gpu",
        /// On a rented CPU.
        CloudCpu = "cloud_cpu",
        /// In a Kubernetes cluster.
        Kubernetes = "kubernetes",
    }
}

#[expect(clippy::derivable_impls, reason = "`wire_names!` gives the type's variants no attributes")]
impl Default for ExecutionMode {
    fn default() -> ExecutionMode {
        ExecutionMode::InProcess
    }
}

impl ExecutionMode {
    /// Returns true if and only if the work is done on the application's own host.
    pub fn is_local(self) -> bool {
        use ExecutionMode::{CondaEnv, Docker, External, InProcess, Subprocess};
        matches!(self, InProcess | Subprocess | Docker | CondaEnv | External)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_five_are_local() {
        let local: Vec<_> =
            ExecutionMode::ALL.iter().filter(|mode| mode.is_local()).map(|mode| mode.as_str()).collect();
        assert_eq!(local, ["in_process", "subprocess", "docker", "conda_env", "external"]);
        assert_eq!(ExecutionMode::NAMES.len(), 12);
    }
}
