"""The system that makes the models: data collection, training, evaluation, export."""
