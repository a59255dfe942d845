"""What a run costs on AWS: what was used, as AWS counts it, times what AWS asks for it"""
