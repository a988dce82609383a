#!/bin/bash
# A posterior in 16 parts as a Slurm array, and one job that adds them when all have ended well:
#   parts=$(sbatch --parsable slurm-array.sh)
#   sbatch --dependency=afterok:$parts slurm-array.sh merge
# The folder of --store is on a disk that all nodes share. Parts that failed are run again by their numbers:
#   sbatch --array=3,7 slurm-array.sh
#SBATCH --job-name=laplace
#SBATCH --array=1-16
#SBATCH --cpus-per-task=1
#SBATCH --mem=4G
#SBATCH --time=04:00:00
set -euo pipefail

options=(network.onnx rows.parquet --target y --store "$SCRATCH/fits")
if [ "${1:-}" = merge ]; then
  # Of the array's tasks one is enough.
  [ "${SLURM_ARRAY_TASK_ID:-1}" = 1 ] || exit 0
  exec npx laplace merge "${options[@]}" --output posterior.safetensors
fi
exec npx laplace posterior "${options[@]}" --shard "$SLURM_ARRAY_TASK_ID/16"
