"""One module per AWS service, named as boto3 names it; imported on that service's first request."""
