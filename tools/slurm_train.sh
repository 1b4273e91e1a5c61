#!/usr/bin/env bash
# tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of tools/train.py]
# One task a GPU. GPUS is their number on all nodes; further arguments of srun go into SRUN_ARGS.
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: [GPUS=8] [GPUS_PER_NODE=8] [CPUS_PER_TASK=5] [SRUN_ARGS=...]" \
        "$0 PARTITION JOB_NAME CONFIG [arguments of tools/train.py]" >&2
    exit 2
fi
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
GPUS=${GPUS:-8}
PER_NODE=${GPUS_PER_NODE:-8}
if [ "$GPUS" -lt "$PER_NODE" ]; then
    PER_NODE=$GPUS
fi

# SRUN_ARGS is unquoted: it holds several arguments
PYTHONPATH="$TOOLS/..${PYTHONPATH:+:$PYTHONPATH}" \
srun -p "$1" --job-name="$2" \
    --gres="gpu:$PER_NODE" \
    --ntasks="$GPUS" \
    --ntasks-per-node="$PER_NODE" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} \
    "${PYTHON:-python}" -u "$TOOLS/train.py" "$3" --launcher slurm "${@:4}"
