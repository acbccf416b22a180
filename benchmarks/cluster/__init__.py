"""The same sweep on a cluster: a campaign of jobs for Slurm, which schedules them, by way of `submitit`."""
