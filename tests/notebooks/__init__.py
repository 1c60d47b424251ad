"""What every notebook keeps: it runs, its outputs are true, it leaves nothing, it reads well."""
