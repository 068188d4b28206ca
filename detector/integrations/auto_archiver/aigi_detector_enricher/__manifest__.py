# Read by auto-archiver with ast.literal_eval: one dict literal, no code.
{  # noqa: B018
    "name": "AI-Generated Image Detector",
    "author": "aigi-detector",
    "version": "1.0",
    "type": ["enricher"],
    "requires_setup": True,
    "dependencies": {"python": ["detector"]},
    "entry_point": "aigi_detector_enricher::AigiDetectorEnricher",
    "configs": {
        "endpoint": {
            "default": "",
            "help": "address of a running `detector serve`, such as http://127.0.0.1:8000; "
            "empty to load the model in this process",
        },
        "token_file": {
            "default": "",
            "help": "file whose first line is the service's token",
        },
        "model": {
            "default": "",
            "help": "without an endpoint: name or folder of a model bundle, empty for the default",
        },
        "timeout": {
            "default": 60,
            "type": "int",
            "help": "seconds that one image may take",
        },
        "max_bytes": {
            "default": 67108864,
            "type": "int",
            "help": "longer files are not read",
        },
        "screenshots": {
            "default": False,
            "type": "bool",
            "help": "also judge screenshots of pages, which say little of the images on them",
        },
    },
    "description": """
    Says which archived images are likely diffusion-generated, how sure that is, and why.

    ### Features
    - Adds to each image: `ai_generated_verdict`, `ai_generated_reason`, `ai_generated_score`,
      `ai_generated_probability`, `ai_generated_model` and `ai_generated_evidence` (what the file
      itself says of its origin).
    - An image that cannot be scored gets `ai_generated_status` with the reason, and the archive
      goes on.

    ### Notes
    - `no_sign` does not mean that a camera or a person made the image, and `likely_generated`
      accuses nobody: read the model card for the error rates.
    - Use it after enrichers that make images, such as `thumbnail_enricher`.
    - With `endpoint`, `pip install --no-deps aigi-detector` is enough here: no torch is needed.
    """,
}
