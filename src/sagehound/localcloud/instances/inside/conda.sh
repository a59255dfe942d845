# Sourced by bash: conda as a function, so that `conda activate pytorch` can change this shell.
conda() {
    case "${1:-}" in
        activate)
            shift
            . "@OPT@/sagehound/bin/activate" "${1:-base}"
            ;;
        deactivate)
            if [ -n "${_OLD_VIRTUAL_PATH:-}" ]; then PATH="$_OLD_VIRTUAL_PATH"; fi
            unset _OLD_VIRTUAL_PATH CONDA_DEFAULT_ENV CONDA_PREFIX
            ;;
        *)
            "@OPT@/sagehound/bin/conda" "$@"
            ;;
    esac
}
