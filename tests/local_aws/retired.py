"""What AWS no longer offers to a new customer, and the refusal that such a customer gets.

The operations are still in the SDK, so that only the service itself can say no. Dates and sources
are in the chapters that used these services.
"""

from __future__ import annotations

from .errors import AWSError

_ENDED = "ended on {date}; its API no longer answers"
_CLOSED = "is closed to new customers since {date}"

# (service, operation or *) -> what became of it
_RETIRED = {
    ("lookoutequipment", "*"): "Amazon Lookout for Equipment " + _ENDED.format(date="2026-10-07"),
    ("lex-models", "*"): "Amazon Lex V1 " + _ENDED.format(date="2025-09-15"),
    ("lex-runtime", "*"): "Amazon Lex V1 " + _ENDED.format(date="2025-09-15"),
    ("frauddetector", "*"): "Amazon Fraud Detector " + _CLOSED.format(date="2025-11-07"),
    ("forecast", "*"): "Amazon Forecast " + _CLOSED.format(date="2024-07-29"),
    ("forecastquery", "*"): "Amazon Forecast " + _CLOSED.format(date="2024-07-29"),
    ("kendra", "*"): "Amazon Kendra " + _CLOSED.format(date="2026-07-30"),
    ("mturk", "*"): "Amazon Mechanical Turk " + _CLOSED.format(date="2026-07-30"),
    ("sagemaker-a2i-runtime", "*"): "Amazon Augmented AI " + _CLOSED.format(date="2026-07-30"),
    ("sagemaker", "CreateFlowDefinition"): "Amazon Augmented AI "
    + _CLOSED.format(date="2026-07-30"),
    ("sagemaker", "CreateLabelingJob"): "SageMaker Ground Truth "
    + _CLOSED.format(date="2026-07-30"),
    ("sagemaker", "CreateMonitoringSchedule"): "SageMaker Model Monitor "
    + _CLOSED.format(date="2026-07-30"),
    ("sagemaker", "CreateEdgePackagingJob"): "SageMaker Edge Manager "
    + _ENDED.format(date="2024-04-26"),
    ("rekognition", "CreateStreamProcessor"): "Rekognition Streaming Video "
    + _CLOSED.format(date="2026-04-30"),
    ("rekognition", "StartMediaAnalysisJob"): "Rekognition bulk image analysis "
    + _CLOSED.format(date="2026-04-30"),
    ("rekognition", "StartPersonTracking"): "Rekognition people pathing "
    + _ENDED.format(date="2025-10-31"),
    ("comprehend", "StartTopicsDetectionJob"): "Comprehend topic modelling "
    + _CLOSED.format(date="2026-04-30"),
    ("comprehend", "StartEventsDetectionJob"): "Comprehend event detection "
    + _CLOSED.format(date="2026-04-30"),
    ("bedrock-agent", "CreateAgent"): "Amazon Bedrock Agents " + _CLOSED.format(date="2026-07-30"),
}


def refuse_if_retired(service: str, operation: str) -> None:
    """Raise AccessDeniedException if this operation is not open to an account made today."""
    fate = _RETIRED.get((service, operation)) or _RETIRED.get((service, "*"))
    if fate:
        raise AWSError("AccessDeniedException", f"{operation} was refused: {fate}.", status=403)
